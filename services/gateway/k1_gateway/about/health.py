"""`GET /health`: the readiness of every service, all asked at the same time."""

import asyncio
from http import HTTPStatus
from typing import Any, Literal

import aiohttp
from aiohttp import web
from pydantic import BaseModel

from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint

_TIMEOUT = aiohttp.ClientTimeout(total=3)
State = Literal["ready", "not_ready", "unreachable"]


class ServiceHealth(BaseModel):
    """The readiness of one service; `problems` names the checks that failed."""

    name: str
    status: State
    version: str | None = None
    problems: dict[str, str] = {}


class Health(BaseModel):
    """`ok` when every service is ready."""

    status: Literal["ok", "degraded"]
    sign_in: Literal["on", "off"]
    """`off`: whoever reaches the gateway is an administrator (K1_AUTH)."""
    services: list[ServiceHealth]


async def get_health(context: GatewayContext, _request: web.Request, _endpoint: Endpoint) -> web.Response:
    """Return the readiness of the services, with status 200 whatever it is."""
    urls = {"ingest": context.settings.ingest_url, **context.settings.service_urls}
    services = await asyncio.gather(*(_check_service(context, name, url) for name, url in urls.items()))
    ready = all(service.status == "ready" for service in services)
    status = "ok" if ready else "degraded"
    report = Health(status=status, sign_in=context.settings.auth, services=services)
    return web.Response(
        body=report.model_dump_json(exclude_none=True).encode(),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


async def _check_service(context: GatewayContext, name: str, url: str) -> ServiceHealth:
    try:
        url, tls = f"{url}/readyz", context.service_tls
        async with context.http.get(url, timeout=_TIMEOUT, ssl=tls) as response:
            report: dict[str, Any] = await response.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return ServiceHealth(name=name, status="unreachable", problems={"http": type(error).__name__})
    checks: dict[str, str] = report.get("checks", {})
    return ServiceHealth(
        name=name,
        status="ready" if response.status == HTTPStatus.OK else "not_ready",
        version=report.get("version"),
        problems={check: outcome for check, outcome in checks.items() if outcome != "ok"},
    )
