"""Adds a report about the services behind the gateway to the response of `/readyz`.

The status of `/readyz` does not follow from the report: a service that is away is away for every process of the
gateway, so that all of them would leave the load balancer together. See decision 0035.
"""

import asyncio
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from k1_contracts.base import Contract
from k1_contracts.descriptors import AnyQuery
from k1_contracts.messages.accounts.users import REVOCATION_LIST, ListRevocations
from k1_contracts.messages.analysis import JOB_LIST, ListJobs
from k1_contracts.messages.catalogue.graphs import PRESET_LIST, ListPresets
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_LIST, ListDeployments
from k1_contracts.messages.webhooks import WEBHOOK_LIST, ListWebhooks
from k1_gateway.http.context import GatewayContext
from k1_platform.errors import TransientError

_TIMEOUT_S: Final = 2.0
"""For each service, all at the same time."""
_MAX_WAIT_S: Final = 2.5
"""For the whole report: a probe waits 3 s for the response."""
_PATH: Final = "/readyz"
_QUERIES: Final[Mapping[str, tuple[AnyQuery[Any], Contract]]] = {
    "accounts": (REVOCATION_LIST, ListRevocations()),
    "analysis": (PRESET_LIST, ListPresets()),
    "catalogue": (JOB_LIST, ListJobs(limit=1)),
    "deploy": (DEPLOYMENT_LIST, ListDeployments(limit=1)),
    "webhooks": (WEBHOOK_LIST, ListWebhooks(limit=1)),
}
"""A light query for each service that the gateway reaches over the bus."""


@dataclass(frozen=True, slots=True)
class DependencyReport:
    """Asks every service behind the gateway whether it responds."""

    context: GatewayContext

    def middleware(self) -> Middleware:
        """Return the middleware that adds the report as `dependencies`."""

        @web.middleware
        async def add(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path != _PATH or request.method not in {"GET", "HEAD"}:
                return await handler(request)
            response, outcomes = await asyncio.gather(handler(request), self.outcomes())
            assert isinstance(response, web.Response)
            body = {**json.loads(response.text or "{}"), "dependencies": outcomes}
            return web.json_response(body, status=response.status)

        return add

    async def outcomes(self) -> dict[str, str]:
        """Return `ok` or the reason why not, for each service by name."""
        checks = {name: self._query(query, body) for name, (query, body) in _QUERIES.items()}
        checks["ingest"] = self._get_ingest()
        outcomes = await asyncio.gather(*map(_outcome, checks.values()))
        return dict(zip(checks, outcomes, strict=True))

    async def _query(self, query: AnyQuery[Any], body: Contract) -> None:
        await self.context.send_query(query, body, _TIMEOUT_S)

    async def _get_ingest(self) -> None:
        """Raise unless ingest is ready. The gateway reaches it by HTTP, as uploads do."""
        url, timeout = f"{self.context.settings.ingest_url}{_PATH}", aiohttp.ClientTimeout(total=_TIMEOUT_S)
        try:
            tls = self.context.service_tls
            async with self.context.http.get(url, timeout=timeout, ssl=tls) as response:
                if response.status != HTTPStatus.OK:
                    raise TransientError("The ingest service is not ready.")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TransientError("The ingest service does not answer; try again in a moment.") from error


async def _outcome(check: Awaitable[None]) -> str:
    try:
        async with asyncio.timeout(_MAX_WAIT_S):
            await check
    except TimeoutError:
        return f"The service did not answer within {_MAX_WAIT_S:g} s; try again."
    except Exception as error:  # noqa: BLE001  the report names whatever is wrong, and /readyz must not fail by it
        return str(error) or type(error).__name__
    return "ok"
