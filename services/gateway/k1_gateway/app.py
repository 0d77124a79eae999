"""The composition root of the gateway."""

import json
import time

import aiohttp

from k1_gateway.api import Api
from k1_gateway.edge import Edge
from k1_gateway.openapi import make_document
from k1_gateway.origins import Origins
from k1_gateway.problems import problems
from k1_gateway.rate_limits import Kind, RateLimits
from k1_gateway.routes import ENDPOINTS, make_routes
from k1_gateway.settings import Allowance, GatewaySettings
from k1_platform.service import Runtime, run_service


async def wire(runtime: Runtime, settings: GatewaySettings) -> None:
    """Open the client for ingest, register the routes."""
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    runtime.cleanup.push_async_callback(http.close)
    edge = Edge(settings.allowed_origins)
    origins = Origins([settings.host, *settings.allowed_hosts], settings.allowed_origins)
    runtime.middlewares.extend([edge.middleware(), problems, origins.middleware(), edge.preflight()])
    description = json.dumps(make_document(ENDPOINTS), ensure_ascii=False).encode()
    api = Api(runtime.bus, http, settings, edge, _limits(settings), description)
    runtime.routes.extend(make_routes(api))


def _limits(settings: GatewaySettings) -> RateLimits:
    allowances: dict[Kind, Allowance] = {
        "uploads": settings.limit_uploads,
        "analyses": settings.limit_analyses,
        "simulations": settings.limit_simulations,
        "edits": settings.limit_edits,
        "deployments": settings.limit_deployments,
        "streams": settings.limit_streams,
    }
    return RateLimits(allowances, loopback_factor=settings.limit_loopback_factor, clock=time.monotonic)


def main() -> None:
    """Run until stopped."""
    settings = GatewaySettings()
    run_service("gateway", settings, lambda runtime: wire(runtime, settings))
