"""Starts the gateway: opens its connections, installs the middlewares, registers the routes of `handlers`."""

import json
import logging
import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import aiohttp

from k1_contracts.messages.accounts.authentication import JWKS_GET, GetJwks, JwkSet
from k1_contracts.messages.accounts.users import KEY_VERIFY, AccessChanged, ClientInfo, VerifiedKey, VerifyKey
from k1_contracts.streams import EVENTS, LIVE
from k1_gateway.about.readiness import DependencyReport
from k1_gateway.access.api_keys import ApiKeys
from k1_gateway.access.cookies import Cookies
from k1_gateway.access.gate import Gate
from k1_gateway.access.machine_tokens import MachineTokens
from k1_gateway.access.origin_policy import OriginPolicy
from k1_gateway.access.revocation_feed import RevocationFeed
from k1_gateway.access.revocations import Revocations
from k1_gateway.access.user_tokens import UserTokens
from k1_gateway.feed.feed import HISTORY_EVENTS, HISTORY_SAMPLES, Feed
from k1_gateway.feed.metrics import FeedMetrics
from k1_gateway.feed.stream_reader import StreamReader
from k1_gateway.handlers import ENDPOINTS, make_routes
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.problem_responses import convert_errors
from k1_gateway.http.response_headers import ResponseHeaders
from k1_gateway.limits.rate_limits import RateLimiter
from k1_gateway.limits.shared_rates import SharedRates
from k1_gateway.live.garbage_collection import collect_garbage
from k1_gateway.openapi.asyncapi import make_asyncapi
from k1_gateway.openapi.document import make_document
from k1_gateway.settings import Allowance, GatewaySettings, LimitKind
from k1_platform.auth.tls import client_context
from k1_platform.errors import TransientError
from k1_platform.nats.maintenance_mode import MaintenanceMode
from k1_platform.nats.queries.rpc import request
from k1_platform.service import Runtime, run_service
from k1_platform.settings import ObjectStoreSettings

_KEYS_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
_log = logging.getLogger(__name__)


async def wire(runtime: Runtime, settings: GatewaySettings) -> None:
    """Open the HTTP client for ingest, install the middlewares and register the routes."""
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    runtime.cleanup.push_async_callback(http.close)
    service_tls = _trust(settings.services_ca)
    ingest_http = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True, ssl=service_tls), auto_decompress=False
    )
    runtime.cleanup.push_async_callback(ingest_http.close)
    headers = ResponseHeaders(settings.allowed_origins, https_only=settings.secure_cookies)
    origins = OriginPolicy.of([settings.host, *settings.allowed_hosts], settings.allowed_origins)
    openapi_json = json.dumps(make_document(ENDPOINTS), ensure_ascii=False).encode()
    limiter = _rate_limiter(runtime, settings)
    context = GatewayContext(
        bus=runtime.bus,
        http=http,
        ingest_http=ingest_http,
        settings=settings,
        headers=headers,
        rate_limiter=limiter,
        gate=_gate(runtime, settings, http, limiter),
        feed=_feed(runtime),
        maintenance_mode=MaintenanceMode(runtime.bus.jetstream),
        openapi_json=openapi_json,
        asyncapi_json=json.dumps(make_asyncapi(), ensure_ascii=False).encode(),
        store_tls=_trust(ObjectStoreSettings().ca),
        service_tls=service_tls,
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


def _trust(ca: Path | None) -> ssl.SSLContext | bool:
    """Return the parameter `ssl` of aiohttp: the TLS context that trusts this CA, or True for those of the system."""
    return client_context(ca) if ca else True


def _feed(runtime: Runtime) -> Feed:
    """Return the live feed, which is read in the background."""
    feed = Feed(FeedMetrics.of(runtime.registry))
    events = StreamReader(runtime.bus, feed, EVENTS, "events", HISTORY_EVENTS)
    samples = StreamReader(runtime.bus, feed, LIVE, "samples", HISTORY_SAMPLES)
    runtime.background(events.run, "feed-events")
    runtime.background(samples.run, "feed-samples")
    runtime.background(partial(collect_garbage, feed.count_clients), "garbage collection")
    return feed


def _gate(
    runtime: Runtime, settings: GatewaySettings, http: aiohttp.ClientSession, limiter: RateLimiter
) -> Gate:
    """Return what identifies callers, kept informed of revoked access."""
    broker = runtime.bus.broker

    async def fetch_keys() -> JwkSet:
        return await request(broker, JWKS_GET, GetJwks())

    async def verify_key(key: str, client: ClientInfo) -> VerifiedKey:
        return await request(broker, KEY_VERIFY, VerifyKey(key=key, client=client))

    async def fetch_json(url: str) -> Mapping[str, Any]:
        return await _fetch_json(http, url)

    revocations = Revocations()
    keys = ApiKeys(verify_key)

    def apply(change: AccessChanged) -> None:
        keys.apply(change)
        revocations.apply(change)

    if settings.auth == "off":
        _log.warning("K1_AUTH=off: whoever reaches this gateway is an administrator")
    else:
        runtime.background(RevocationFeed(runtime.bus, apply).run, "revocations")
    return Gate(
        users=UserTokens(fetch_keys, revocations),
        keys=keys,
        machines={each.issuer: MachineTokens(each, fetch_json) for each in settings.oidc_issuers},
        revocations=revocations,
        cookies=Cookies(settings.secure_cookies),
        limiter=limiter,
        is_off=settings.auth == "off",
    )


async def _fetch_json(http: aiohttp.ClientSession, url: str) -> Mapping[str, Any]:
    """Return the JSON object behind a URL.

    Raises:
        TransientError: it does not answer with one.
    """
    try:
        async with http.get(url, timeout=_KEYS_TIMEOUT, allow_redirects=False) as response:
            response.raise_for_status()
            value: object = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise TransientError(f"the keys of the issuer cannot be read from {url}: {error!r}") from error
    if not isinstance(value, dict):
        raise TransientError(f"{url} does not hold a set of keys")
    return cast("Mapping[str, Any]", value)


def _rate_limiter(runtime: Runtime, settings: GatewaySettings) -> RateLimiter:
    allowances: dict[LimitKind, Allowance] = {
        "uploads": settings.limit_uploads,
        "parts": settings.limit_parts,
        "analyses": settings.limit_analyses,
        "simulations": settings.limit_simulations,
        "edits": settings.limit_edits,
        "deployments": settings.limit_deployments,
        "streams": settings.limit_streams,
        "reads": settings.limit_reads,
        "changes": settings.limit_changes,
        "logins": settings.limit_logins,
    }
    store = SharedRates(runtime.bus.jetstream)
    return RateLimiter(allowances, loopback_factor=settings.limit_loopback_factor, store=store)


def main() -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    settings = GatewaySettings()
    run_service("gateway", settings, lambda runtime: wire(runtime, settings))
