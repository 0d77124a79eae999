"""Measures the bus for Prometheus: dead letters, the streams of a service, and what its durables have not handled."""

import asyncio
import logging
from typing import Final, NoReturn

from nats.errors import Error as NatsError
from prometheus_client import CollectorRegistry, Gauge

from k1_contracts.durables import Durable
from k1_contracts.streams import DEAD_LETTERS
from k1_platform.auth.service_permissions import durables_of
from k1_platform.nats.bus.client import Bus

_INTERVAL_S: Final = 10.0
_TIMEOUT_S: Final = 5.0
_log = logging.getLogger(__name__)


class BusGauges:
    """The gauges of one process; `run` is background work of its service.

    All processes measure the dead letters, so that an alert does not depend on one service. Each service measures its
    own durables and their streams, as its credential permits no others.
    """

    def __init__(self, bus: Bus, service: str, registry: CollectorRegistry) -> None:
        """Register the gauges."""
        self._jetstream = bus.jetstream
        self._durables = durables_of(service)
        self._streams = sorted({DEAD_LETTERS, *(durable.stream for durable in self._durables)})
        connected = Gauge("k1_bus_connected", "1 while the process is connected to NATS", registry=registry)
        connected.set_function(lambda: bus.client.is_connected)
        self._dead_letters = Gauge(
            "k1_bus_dead_letters", "Messages that could not be handled", registry=registry
        )
        self._pending = _by_durable("pending", "Messages that wait for their first delivery", registry)
        self._unacknowledged = _by_durable(
            "unacknowledged", "Messages that are being handled or wait for another try", registry
        )
        self._bytes = _by_stream("bytes", "Bytes that a stream holds", registry)
        self._limit = _by_stream(
            "limit_bytes", "Bytes from which a stream drops its oldest messages", registry
        )

    async def run(self) -> NoReturn:
        """Measure until cancelled. While the broker does not respond, the gauges keep their values."""
        while True:
            try:
                await self._measure()
            except (NatsError, OSError, TimeoutError) as error:
                _log.warning("the bus was not measured", extra={"reason": repr(error)})
            await asyncio.sleep(_INTERVAL_S)

    async def _measure(self) -> None:
        for name in self._streams:
            info = await self._jetstream.stream_info(name)
            self._bytes.labels(name).set(info.state.bytes)
            self._limit.labels(name).set(info.config.max_bytes or 0)
            if name == DEAD_LETTERS:
                self._dead_letters.set(info.state.messages)
        for durable in self._durables:
            await self._measure_durable(durable)

    async def _measure_durable(self, durable: Durable) -> None:
        info = await self._jetstream.consumer_info(durable.stream, durable.name, timeout=_TIMEOUT_S)
        self._pending.labels(durable.name).set(info.num_pending or 0)
        self._unacknowledged.labels(durable.name).set(info.num_ack_pending or 0)


def _by_durable(name: str, text: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(f"k1_bus_consumer_{name}", text, ["durable"], registry=registry)


def _by_stream(name: str, text: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(f"k1_bus_stream_{name}", text, ["stream"], registry=registry)
