"""Exports `k1_analysis_backlog`, the signal by which an autoscaler sets the number of workers.

The backlog is the number of songs that wait for the intake, wait for a worker or are being analysed. Songs in progress
count, so that a worker with a job is not counted as idle.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from k1_contracts.durables import ANALYSIS_INTAKE, ANALYSIS_LANES, Durable

_REFRESH_INTERVAL_S: Final = 2.0
_VALID_S: Final = 15.0
"""After this time without an answer of the broker the backlog is unknown."""


class BacklogMetric(Collector):
    """Keeps the backlog current, and exports it while it is known.

    An unknown backlog has no sample: a zero would remove the workers of a full queue.
    """

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream
        self._value = 0
        self._valid_until_s = 0.0

    async def keep_current(self) -> None:
        """Read the backlog every two seconds until cancelled."""
        while True:
            with suppress(NatsError, OSError, TimeoutError):
                self._value = await read_backlog(self._jetstream)
                self._valid_until_s = time.monotonic() + _VALID_S
            await asyncio.sleep(_REFRESH_INTERVAL_S)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metric, without a sample while the backlog is unknown."""
        metric = GaugeMetricFamily(
            "k1_analysis_backlog", "Songs that wait for their analysis or are being analysed"
        )
        if time.monotonic() < self._valid_until_s:
            metric.add_metric([], self._value)
        yield metric


async def read_backlog(jetstream: JetStreamContext) -> int:
    """Return the number of songs that wait or are being analysed.

    The intake is read before the lanes: it puts a job on a lane before it acknowledges the event, so a song in between
    may count twice, but it is never missed.

    Raises:
        nats.errors.Error: the broker does not respond, or a durable does not exist.
    """
    intake = await _unsettled(jetstream, ANALYSIS_INTAKE)
    lanes = await asyncio.gather(*(_unsettled(jetstream, lane) for lane in ANALYSIS_LANES))
    return intake + sum(lanes)


async def _unsettled(jetstream: JetStreamContext, durable: Durable) -> int:
    info = await jetstream.consumer_info(durable.stream, durable.name)
    return (info.num_pending or 0) + (info.num_ack_pending or 0)
