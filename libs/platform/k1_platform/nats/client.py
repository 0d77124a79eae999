"""Makes the broker of a service, with traces, metrics and dead letters, and publishes events through it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

from faststream.nats import NatsBroker
from faststream.nats.opentelemetry import NatsTelemetryMiddleware
from faststream.nats.security import NatsJWT, NatsSecurity
from nats.aio.client import Client
from nats.js import JetStreamContext
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from k1_contracts.base import Contract
from k1_contracts.envelope import Envelope, envelope_for
from k1_contracts.ids import derived_id
from k1_platform.errors import TransientError
from k1_platform.nats.connection import connect_options
from k1_platform.nats.dead_letters.middleware import DeadLetterMiddleware
from k1_platform.observability.metrics import prometheus_middleware
from k1_platform.settings import NatsSettings

PUBLISH_TIMEOUT_S = 5.0
"""The default of FastStream, 0.5 s, is shorter than a restart of the broker."""

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
    security: NatsSecurity | None = None
    if token is not None and sign is not None:
        security = NatsJWT(token, sign, ssl_context=options["tls"])
    elif options["tls"] is not None:
        security = NatsSecurity(ssl_context=options["tls"])
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
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        ping_interval=10,
        graceful_timeout=15.0,
        logger=logging.getLogger("faststream"),
        log_level=logging.DEBUG,
        error_cb=_log_error,
        middlewares=(
            NatsTelemetryMiddleware(tracer_provider=tracer_provider),
            prometheus_middleware(registry, service),
            DeadLetterMiddleware(service=service, transient=transient),
        ),
    )


async def _log_error(error: Exception) -> None:
    _log.warning("NATS: %s", repr(error))


async def connect(broker: NatsBroker) -> Bus:
    """Connect the broker; `broker.start` starts the subscribers later."""
    client = await broker.connect()
    return Bus(broker, client, client.jetstream())


def make_event(
    subject: str,
    body: Contract,
    *,
    source: str,
    about: str,
    key: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[Envelope, bytes]:
    """Return the envelope and the body of an event.

    The id is derived from the subject and `key` (default: `about`), so publishing the same event twice gives one
    event: the stream and the inbox of each consumer drop the second.
    """
    event_id = derived_id("evt", subject, key or about)
    envelope = envelope_for(subject, event_id=event_id, source=source, about=about, at=clock())
    return envelope, body.to_json()


async def publish_event(
    broker: NatsBroker, subject: str, envelope: Envelope, body: bytes, *, stream: str
) -> None:
    """Publish an event and wait until the stream has acknowledged it.

    Raises:
        TransientError: the broker did not confirm. The event may or may not be stored; publishing it again is safe.
    """
    try:
        await broker.publish(
            body, subject, headers=envelope.headers(), stream=stream, timeout=PUBLISH_TIMEOUT_S
        )
    except Exception as error:
        raise TransientError(f"{subject} was not confirmed by the broker: {error!r}") from error
