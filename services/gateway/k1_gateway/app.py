"""The composition root of the gateway."""

import json

import aiohttp

from k1_gateway.api import Api
from k1_gateway.edge import Edge
from k1_gateway.openapi import make_document
from k1_gateway.problems import problems
from k1_gateway.routes import ENDPOINTS, make_routes
from k1_gateway.settings import GatewaySettings
from k1_platform.service import Runtime, run_service


async def wire(runtime: Runtime, settings: GatewaySettings) -> None:
    """Open the client for ingest, register the routes."""
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    runtime.cleanup.push_async_callback(http.close)
    edge = Edge(settings.allowed_origins)
    runtime.middlewares.extend([edge.middleware(), problems, edge.preflight()])
    description = json.dumps(make_document(ENDPOINTS), ensure_ascii=False).encode()
    runtime.routes.extend(make_routes(Api(runtime.bus, http, settings, edge, description)))


def main() -> None:
    """Run until stopped."""
    settings = GatewaySettings()
    run_service("gateway", settings, lambda runtime: wire(runtime, settings))
