"""The dependencies that each handler of the gateway receives."""

import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import aiohttp

from k1_contracts.base import Contract
from k1_contracts.descriptors import AnyQuery, Q
from k1_contracts.rpc import Response
from k1_gateway.access.gate import Gate
from k1_gateway.errors import ProblemError
from k1_gateway.feed.feed import Feed
from k1_gateway.http.response_headers import ResponseHeaders
from k1_gateway.limits.rate_limits import RateLimiter
from k1_gateway.settings import GatewaySettings
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.maintenance_mode import REFUSED, MaintenanceMode
from k1_platform.nats.queries.rpc import REQUEST_TIMEOUT_S, QueryError, request_raw

_RESULT: Final = b'{"result":'


@dataclass(frozen=True, slots=True)
class GatewayContext:
    """The connections and settings of the gateway. Each query goes to the service that owns the data."""

    bus: Bus
    http: aiohttp.ClientSession
    ingest_http: aiohttp.ClientSession
    """For uploads: each has a connection of its own, because one that ingest just closed would lose its body."""
    settings: GatewaySettings
    headers: ResponseHeaders
    rate_limiter: RateLimiter
    feed: Feed
    """What viewers see live."""
    gate: Gate
    maintenance_mode: MaintenanceMode
    openapi_json: bytes
    """The OpenAPI document."""
    asyncapi_json: bytes
    """The AsyncAPI document."""
    store_tls: ssl.SSLContext | bool = True
    """Which certificate of the object store is trusted; True for those that the system trusts."""
    service_tls: ssl.SSLContext | bool = True
    """The same for the services that the gateway reaches by HTTP."""

    async def require_changes_allowed(self) -> None:
        """Refuse a change while a backup keeps changes out.

        Raises:
            ProblemError: `maintenance`, to be sent again in a few seconds.
        """
        if await self.maintenance_mode.refuses_changes():
            raise ProblemError("maintenance", HTTPStatus.SERVICE_UNAVAILABLE, REFUSED)

    async def send_query(self, query: AnyQuery[Q], body: Q, timeout_s: float = REQUEST_TIMEOUT_S) -> bytes:
        """Return the JSON of the result as its service wrote it. Parsing it here would only cost time.

        Raises:
            QueryError: the error of the service, or that it did not respond.
        """
        reply = (await request_raw(self.bus.broker, query, body, timeout_s=timeout_s)).data
        if reply.startswith(_RESULT):
            return reply[len(_RESULT) : -1]
        error = Response[Contract].model_validate_json(reply).error
        assert error is not None, "a response without a result holds an error"
        raise QueryError.of(error)
