"""Readiness checks of the broker and of durables, for a service's `/readyz`."""

from nats.js import JetStreamContext

from k1_contracts.durables import Durable
from k1_platform.errors import TransientError
from k1_platform.nats.client import Bus
from k1_platform.observability.health import CHECK_TIMEOUT_S, Check


def nats_check(bus: Bus) -> Check:
    """The broker answers, not only holds a socket open."""

    async def check() -> None:
        if not bus.client.is_connected:
            raise TransientError("not connected to NATS")
        await bus.client.flush(timeout=1)

    return check


def durable_check(jetstream: JetStreamContext, durable: Durable) -> Check:
    """The durable exists: under a deleted one a subscriber would wait in silence for ever."""

    async def check() -> None:
        await jetstream.consumer_info(durable.stream, durable.name, timeout=CHECK_TIMEOUT_S)

    return check
