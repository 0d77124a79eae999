"""Is everything up? Each service's own word, asked for at once."""

import asyncio
from http import HTTPStatus
from typing import Any, Literal

import aiohttp
from aiohttp import web
from pydantic import BaseModel

from k1_gateway.api import Api
from k1_gateway.endpoints import Endpoint

_TIMEOUT = aiohttp.ClientTimeout(total=3)
State = Literal["ready", "not_ready", "unreachable"]


class ServiceHealth(BaseModel):
    """One service; `problems` says what it waits for."""

    name: str
    status: State
    version: str | None = None
    problems: dict[str, str] = {}


class Health(BaseModel):
    """`ok` when every service is ready."""

    status: Literal["ok", "degraded"]
    services: list[ServiceHealth]


async def health(api: Api, _request: web.Request, _endpoint: Endpoint) -> web.Response:
    """200 whatever the state: the answer is about the others."""
    urls = {"ingest": api.settings.ingest_url, **api.settings.service_urls}
    services = await asyncio.gather(*(_ask(api, name, url) for name, url in urls.items()))
    ready = all(service.status == "ready" for service in services)
    report = Health(status="ok" if ready else "degraded", services=services)
    return web.Response(
        body=report.model_dump_json(exclude_none=True).encode(),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


async def _ask(api: Api, name: str, url: str) -> ServiceHealth:
    try:
        async with api.http.get(f"{url}/readyz", timeout=_TIMEOUT) as answer:
            report: dict[str, Any] = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return ServiceHealth(name=name, status="unreachable", problems={"http": type(error).__name__})
    checks: dict[str, str] = report.get("checks", {})
    return ServiceHealth(
        name=name,
        status="ready" if answer.status == HTTPStatus.OK else "not_ready",
        version=report.get("version"),
        problems={check: outcome for check, outcome in checks.items() if outcome != "ok"},
    )
