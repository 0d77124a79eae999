"""Starts the gateway: opens its connections, installs the middlewares, registers the routes of `handlers`."""

import json
import time

import aiohttp

from k1_contracts.streams import EVENTS, LIVE
from k1_gateway.about.readiness import DependencyReport
from k1_gateway.access.origin_policy import OriginPolicy
from k1_gateway.access.rate_limits import LimitKind, RateLimiter
from k1_gateway.feed.feed import HISTORY_EVENTS, HISTORY_SAMPLES, Feed
from k1_gateway.feed.metrics import FeedMetrics
from k1_gateway.feed.stream_reader import StreamReader
from k1_gateway.handlers import ENDPOINTS, make_routes
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.problem_responses import convert_errors
from k1_gateway.http.response_headers import ResponseHeaders
from k1_gateway.openapi.asyncapi import make_asyncapi
from k1_gateway.openapi.document import make_document
from k1_gateway.settings import Allowance, GatewaySettings
from k1_platform.auth.tls import client_context
from k1_platform.service import Runtime, run_service
from k1_platform.settings import ObjectStoreSettings


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
        feed=_feed(runtime),
        openapi_json=openapi_json,
        asyncapi_json=json.dumps(make_asyncapi(), ensure_ascii=False).encode(),
        store_tls=client_context(ca) if (ca := ObjectStoreSettings().ca) else True,
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


def _feed(runtime: Runtime) -> Feed:
    """Return the live feed, which is read in the background."""
    feed = Feed(FeedMetrics.of(runtime.registry))
    events = StreamReader(runtime.bus, feed, EVENTS, "events", HISTORY_EVENTS)
    samples = StreamReader(runtime.bus, feed, LIVE, "samples", HISTORY_SAMPLES)
    runtime.background(events.run, "feed-events")
    runtime.background(samples.run, "feed-samples")
    return feed


def _rate_limiter(settings: GatewaySettings) -> RateLimiter:
    allowances: dict[LimitKind, Allowance] = {
        "uploads": settings.limit_uploads,
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
