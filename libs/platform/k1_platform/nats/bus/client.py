"""Makes the broker of a service, with traces, metrics and dead letters."""

import logging
from dataclasses import dataclass
from typing import TypedDict

from faststream.nats import NatsBroker
from faststream.nats.opentelemetry import NatsTelemetryMiddleware
from faststream.nats.security import NatsJWT, NatsSecurity
from nats.aio.client import Client
from nats.js import JetStreamContext
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from k1_platform.auth.service_permissions import inbox_prefix
from k1_platform.nats.bus.connection import connect_options
from k1_platform.nats.dead_letters.middleware import DeadLetterMiddleware
from k1_platform.observability.metrics import BusMetrics
from k1_platform.settings import NatsSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bus:
    """A connected FastStream broker and its nats-py client, for streams and key-value buckets."""

    broker: NatsBroker
    client: Client
    jetstream: JetStreamContext


class BrokerOptions(TypedDict):
    """Keyword arguments for FastStream's `NatsBroker`."""

    servers: list[str]
    security: NatsSecurity | None


def broker_options(settings: NatsSettings) -> BrokerOptions:
    """Return `connect_options` in the form that FastStream takes."""
    options = connect_options(settings)
    token, sign = options["user_jwt_cb"], options["signature_cb"]
    tls, first = options["tls"], options["tls_handshake_first"]
    security: NatsSecurity | None = None
    if token is not None and sign is not None:
        security = NatsJWT(token, sign, ssl_context=tls, tls_handshake_first=first)
    elif tls is not None:
        security = NatsSecurity(ssl_context=tls, tls_handshake_first=first)
    return BrokerOptions(servers=options["servers"], security=security)


def make_broker(
    settings: NatsSettings,
    *,
    service: str,
    registry: CollectorRegistry,
    tracer_provider: TracerProvider,
    transient: tuple[type[Exception], ...] = (),
) -> NatsBroker:
    """Return a broker that is not connected yet. After an error in `transient` a message is delivered again."""
    return NatsBroker(
        **broker_options(settings),
        name=f"k1-{service}",
        inbox_prefix=inbox_prefix(service),
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        ping_interval=10,
        graceful_timeout=15.0,
        logger=logging.getLogger("faststream"),
        log_level=logging.DEBUG,
        error_cb=_log_error,
        apply_types=False,
        serializer=None,  # else FastStream makes a model for each handler, which nothing uses
        middlewares=(
            NatsTelemetryMiddleware(tracer_provider=tracer_provider),
            BusMetrics(registry, service),
            DeadLetterMiddleware(service=service, transient=transient),
        ),
    )


async def _log_error(error: Exception) -> None:
    _log.warning("NATS: %s", repr(error))


async def connect(broker: NatsBroker) -> Bus:
    """Connect the broker; `broker.start` starts the subscribers later."""
    client = await broker.connect()
    return Bus(broker, client, client.jetstream())
