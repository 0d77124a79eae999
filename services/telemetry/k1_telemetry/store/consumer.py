"""Consumes the messages of devices for the store: pull, decode, write in batches, acknowledge after the commit.

Every telemetry process runs it on the same durable, so the processes share the work. While a batch is written, the next
one is collected; while that is full, nothing more is pulled.
"""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NoReturn

import asyncpg
import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from k1_contracts.durables import TELEMETRY_STORE
from k1_contracts.messages.telemetry import DEVICE_READINGS
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.jetstream_api import DeliveryInfo
from k1_platform.nats.streams.bulk import acknowledge, reject
from k1_platform.nats.streams.pull_consumer import PullConsumer, PullError
from k1_platform.postgres.pool import DATABASE_ERRORS
from k1_platform.processes.backoff import BackoffSchedule
from k1_platform.processes.tasks import is_set_within, run_together
from k1_telemetry.store.columns import SampleMessage
from k1_telemetry.store.intake import BadSamples, Intake
from k1_telemetry.store.metrics import StoreMetrics
from k1_telemetry.store.quarantine import Quarantine
from k1_telemetry.store.writer import BatchWriter

_MAX_ROWS: Final = 50_000
"""A batch with more readings is complete."""
_INTERVAL_S: Final = 1.0
"""The shortest time between the beginnings of two batches that are not complete."""
_PULL_MESSAGES: Final = 2000
"""How many messages with one reading a pull asks for."""
_MIN_PULL_MESSAGES: Final = 20
_PULL_EXPIRY_S: Final = 5.0
_RETRY_DELAY_S: Final = 0.25
_WRITE_BACKOFF: Final = BackoffSchedule(first_s=0.1, max_s=3.0, jitter=(0.7, 1.3))
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Batch:
    replies: list[str] = field(default_factory=list[str])
    """Where each message is acknowledged. The messages themselves would double the memory."""
    samples: list[SampleMessage] = field(default_factory=list[SampleMessage])
    bad: list[BadSamples] = field(default_factory=list[BadSamples])
    rows: int = 0

    @property
    def is_complete(self) -> bool:
        return self.rows >= _MAX_ROWS


class SampleConsumer:
    """Stores the samples of this process's share of the messages."""

    def __init__(self, bus: Bus, writer: BatchWriter, metrics: StoreMetrics) -> None:
        self._bus, self._writer, self._metrics = bus, writer, metrics
        self._quarantine = Quarantine(bus.client, metrics)
        self._intake = Intake()
        self._batch = _Batch()
        self._writing = _Batch()
        self._collected = asyncio.Event()
        self._complete = asyncio.Event()
        self._taken = asyncio.Event()
        self._rng = random.Random()  # noqa: S311  jitter needs no secure random numbers

    async def run(self) -> None:
        """Run until cancelled; then return what is not stored to the broker, for another process."""
        try:
            await run_together(self._collect(), self._write_batches())
        finally:
            with suppress(NatsError):
                await reject(self._bus.client, [*self._writing.replies, *self._batch.replies])

    async def _collect(self) -> NoReturn:
        async with PullConsumer(
            self._bus.client,
            TELEMETRY_STORE.stream,
            TELEMETRY_STORE.name,
            batch=_PULL_MESSAGES,
            open_s=_PULL_EXPIRY_S,
        ) as puller:
            while True:
                try:
                    pulled = await puller.next()
                except PullError as error:
                    _log.warning("cannot pull samples", extra={"reason": str(error)})
                    await asyncio.sleep(_RETRY_DELAY_S)
                    continue
                for message in pulled.messages:
                    self._add(message)
                if self._batch.replies:
                    # Fewer messages where they are packed, so that no pull brings far more than a batch.
                    mean = max(self._batch.rows / len(self._batch.replies), 1)
                    puller.batch = max(round(_PULL_MESSAGES / mean), _MIN_PULL_MESSAGES)
                    self._collected.set()
                if self._batch.is_complete:
                    self._complete.set()
                    self._taken.clear()
                    await self._taken.wait()

    def _add(self, message: Msg) -> None:
        samples, bad = self._intake.read(message)
        batch = self._batch
        batch.replies.append(message.reply)
        batch.bad += bad
        if samples is not None:
            batch.samples.append(samples)
            batch.rows += len(samples.readings)

    async def _write_batches(self) -> NoReturn:
        while True:
            await self._collected.wait()
            begun_s = time.monotonic()
            self._writing, self._batch = self._batch, _Batch()
            self._collected.clear()
            self._complete.clear()
            self._taken.set()
            await self._write(self._writing)
            await self._acknowledge(self._writing.replies)
            self._writing = _Batch()
            await is_set_within(self._complete, max(begun_s + _INTERVAL_S - time.monotonic(), 0))

    async def _write(self, batch: _Batch) -> None:
        """Store a batch and put its bad samples into quarantine; try again until both are done."""
        await self._store(batch.samples, batch.bad)
        for bad in batch.bad:
            await self._retry(partial(self._quarantine.add, bad), "bad samples not kept yet")

    async def _store(self, samples: list[SampleMessage], bad: list[BadSamples]) -> None:
        if not samples:
            return
        begun_s = time.monotonic()
        try:
            await self._retry(partial(self._writer.write, samples), "samples not stored yet")
        except (asyncpg.DataError, ValueError, OverflowError) as error:
            await self._store_parts(samples, bad, error)
        else:
            ended_s = time.monotonic()
            self._metrics.write.observe(ended_s - begun_s)
            oldest_us = min(message.arrived_us for message in samples)
            self._metrics.lag.observe(max(time.time() - oldest_us / 1e6, 0.0))

    async def _store_parts(
        self, samples: list[SampleMessage], bad: list[BadSamples], error: Exception
    ) -> None:
        """Halve a batch that cannot be stored until the bad message is found."""
        if len(samples) > 1:
            middle = len(samples) // 2
            await self._store(samples[:middle], bad)
            await self._store(samples[middle:], bad)
            return
        (message,) = samples
        _log.error("a message cannot be stored", extra={"device": message.device_id}, exc_info=error)
        bad.append(_unstorable(message, error))

    async def _retry(self, work: Callable[[], Awaitable[None]], problem: str) -> None:
        """Do the work until it succeeds; raise only what a further attempt would raise as well."""
        for failures in itertools.count(1):
            try:
                await work()
            except asyncpg.DataError:
                raise
            except (*DATABASE_ERRORS, NatsError) as error:
                self._metrics.failures.inc()
                _log.warning(problem, extra={"reason": repr(error)})
                await asyncio.sleep(_WRITE_BACKOFF.pause_s(failures, self._rng))
            else:
                return

    async def _acknowledge(self, replies: list[str]) -> None:
        """Acknowledge stored messages. One whose acknowledgement is lost comes again, and the writer leaves it out."""
        try:
            await acknowledge(self._bus.client, replies)
        except NatsError as error:
            _log.warning("cannot acknowledge samples", extra={"reason": repr(error)})


def _unstorable(message: SampleMessage, error: Exception) -> BadSamples:
    return BadSamples(
        DeliveryInfo(1, message.sequence, message.arrived_us),
        DEVICE_READINGS.subject_for(message.device_id),
        message.arrived_us,
        "not_storable",
        repr(error),
        len(message.readings),
        msgspec.json.encode(message.readings),
    )
