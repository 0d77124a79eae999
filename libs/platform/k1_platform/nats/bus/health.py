"""Readiness checks of the broker and of durables, for a service's `/readyz`."""

from nats.js import JetStreamContext

from k1_contracts.durables import Durable
from k1_platform.errors import TransientError
from k1_platform.nats.bus.client import Bus
from k1_platform.observability.health import CHECK_TIMEOUT_S, Check


def nats_check(bus: Bus) -> Check:
    """Return a check that the broker responds; an open socket is not enough."""

    async def check() -> None:
        if not bus.client.is_connected:
            raise TransientError("not connected to NATS")
        await bus.client.flush(timeout=1)

    return check


def durable_check(jetstream: JetStreamContext, durable: Durable) -> Check:
    """Return a check that the durable exists: on a deleted durable a subscriber waits for ever without an error."""

    async def check() -> None:
        await jetstream.consumer_info(durable.stream, durable.name, timeout=CHECK_TIMEOUT_S)

    return check
