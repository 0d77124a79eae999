"""Starts the gateway: opens its connections, installs the middlewares, registers the routes of `handlers`."""

import json
import time

import aiohttp

from k1_gateway.about.readiness import DependencyReport
from k1_gateway.access.origin_policy import OriginPolicy
from k1_gateway.access.rate_limits import LimitKind, RateLimiter
from k1_gateway.handlers import ENDPOINTS, make_routes
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.problem_responses import convert_errors
from k1_gateway.http.response_headers import ResponseHeaders
from k1_gateway.openapi.document import make_document
from k1_gateway.settings import Allowance, GatewaySettings
from k1_platform.service import Runtime, run_service


async def wire(runtime: Runtime, settings: GatewaySettings) -> None:
    """Open the HTTP client for ingest, install the middlewares and register the routes."""
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    runtime.cleanup.push_async_callback(http.close)
    headers = ResponseHeaders(settings.allowed_origins)
    origins = OriginPolicy.of([settings.host, *settings.allowed_hosts], settings.allowed_origins)
    openapi_json = json.dumps(make_document(ENDPOINTS), ensure_ascii=False).encode()
    context = GatewayContext(
        bus=runtime.bus,
        http=http,
        settings=settings,
        headers=headers,
        rate_limiter=_rate_limiter(settings),
        openapi_json=openapi_json,
    )
    runtime.middlewares.extend(
        [
            headers.middleware(),
            convert_errors,
            origins.middleware(),
            headers.preflight(),
            DependencyReport(context).middleware(),
        ]
    )
    runtime.routes.extend(make_routes(context))


def _rate_limiter(settings: GatewaySettings) -> RateLimiter:
    allowances: dict[LimitKind, Allowance] = {
        "uploads": settings.limit_uploads,
        "parts": settings.limit_parts,
        "analyses": settings.limit_analyses,
        "simulations": settings.limit_simulations,
        "edits": settings.limit_edits,
        "deployments": settings.limit_deployments,
        "streams": settings.limit_streams,
    }
    return RateLimiter(allowances, loopback_factor=settings.limit_loopback_factor, clock=time.monotonic)


def main() -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    settings = GatewaySettings()
    run_service("gateway", settings, lambda runtime: wire(runtime, settings))
