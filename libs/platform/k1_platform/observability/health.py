"""Serves `/livez`, `/readyz` and `/metrics` of a service."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

CHECK_TIMEOUT_S: Final = 2.0
Check = Callable[[], Awaitable[None]]
"""A readiness check; it raises when the dependency does not respond."""


def health_routes(
    checks: Mapping[str, Check],
    registry: CollectorRegistry,
    about: Mapping[str, str],
    draining: asyncio.Event,
) -> web.RouteTableDef:
    """Return the three routes. The responses of `/livez` and `/readyz` contain the fields of `about`.

    While `draining` is set the service is not ready, although it still answers.
    """
    routes = web.RouteTableDef()

    @routes.get("/livez")
    async def livez(_: web.Request) -> web.Response:  # pyright: ignore[reportUnusedFunction]
        return web.json_response({"status": "alive", **about})

    @routes.get("/readyz")
    async def readyz(_: web.Request) -> web.Response:  # pyright: ignore[reportUnusedFunction]
        outcomes = await asyncio.gather(*(_outcome(check) for check in checks.values()))
        report = dict(zip(checks, outcomes, strict=True))
        ready = all(outcome == "ok" for outcome in outcomes) and not draining.is_set()
        status = "draining" if draining.is_set() else "ready" if ready else "not ready"
        body = {"status": status, "checks": report, **about}
        return web.json_response(body, status=200 if ready else 503)

    @routes.get("/metrics")
    async def metrics(_: web.Request) -> web.Response:  # pyright: ignore[reportUnusedFunction]
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    return routes


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except Exception as error:  # noqa: BLE001  every error means "not ready" and is reported
        return json.dumps(repr(error))[1:-1]
    return "ok"
