"""Runs the work of the leader while it holds the lease: consume, update the fleet, publish, acknowledge."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Final

from nats.aio.msg import Msg

from k1_contracts.durables import TELEMETRY_SAMPLES, Durable
from k1_contracts.messages.telemetry import Presence
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.device_errors import DeviceErrors
from k1_platform.nats.jetstream_api import delivery_info
from k1_platform.nats.streams.bulk import acknowledge
from k1_platform.nats.streams.pull_consumer import PullConsumer, PullError, PullResult
from k1_platform.postgres.pool import DATABASE_ERRORS
from k1_platform.processes.tasks import run_together
from k1_telemetry.fleet.effects import Effects
from k1_telemetry.fleet.fleet import Fleet
from k1_telemetry.fleet.presence import Watermark
from k1_telemetry.leadership.broker_clock import BrokerClock
from k1_telemetry.leadership.message_handlers import Handler, MessageHandlers
from k1_telemetry.leadership.metrics import Metrics
from k1_telemetry.leadership.publisher import EventPublisher
from k1_telemetry.leadership.throttle import HOLD_S
from k1_telemetry.message_errors import explain
from k1_telemetry.store.device_counts import DeviceCounts

_BATCH_SIZE: Final = 1000
_PULL_EXPIRY_S: Final = 0.25
"""How long a pull request for readings stays open; this bounds how late a silence is noticed."""
_SILENCE_CHECK_INTERVAL_S: Final = 0.1
_HELD_SAMPLES_INTERVAL_S: Final = 0.02
_CLOCK_INTERVAL_S: Final = 2.0
_ALARMS_INTERVAL_S: Final = 10.0
_RETRY_DELAY_S: Final = 0.25
ReconcileAlarms = Callable[[Callable[[str], Presence | None], datetime], Awaitable[None]]
"""Clears the alarms that the fleet does not know any more."""
_log = logging.getLogger(__name__)


class LeaderSession:
    """Does the leader's work from acquiring the lease to losing it."""

    def __init__(
        self,
        bus: Bus,
        fleet: Fleet,
        publisher: EventPublisher,
        clock: BrokerClock,
        metrics: Metrics,
        *,
        device_counts: DeviceCounts,
        reconcile_alarms: ReconcileAlarms,
    ) -> None:
        """Create a session; `clock` must have been measured."""
        self._device_errors = DeviceErrors(bus.client)
        self._handlers = MessageHandlers(fleet, clock)
        self._bus, self._fleet, self._publisher = bus, fleet, publisher
        self._clock, self._metrics, self._device_counts = clock, metrics, device_counts
        self._reconcile = reconcile_alarms
        self._watermark = Watermark(clock.now())
        # Effects are published in the order in which they arise, whichever stream they come from.
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Run until an exception: LeadershipLostError, or an error of the broker."""
        await self._publisher.refresh_presence(self._fleet, all_devices=True)
        await run_together(
            *(self._consume(durable, handler) for durable, handler in self._handlers.subscriptions()),
            _every(_SILENCE_CHECK_INTERVAL_S, self._check_silence),
            self._publish_held_samples(),
            _every(_CLOCK_INTERVAL_S, self._measure_clock),
            self._reconcile_alarms(),
        )

    async def _consume(self, durable: Durable, handler: Handler) -> None:
        async with PullConsumer(
            self._bus.client, durable.stream, durable.name, batch=_BATCH_SIZE, open_s=_PULL_EXPIRY_S
        ) as puller:
            while True:
                try:
                    pulled = await puller.next()
                except PullError as error:
                    _log.warning(
                        "cannot pull messages", extra={"durable": durable.name, "reason": str(error)}
                    )
                    await asyncio.sleep(_RETRY_DELAY_S)
                else:
                    await self._process(pulled, handler)
                    if durable is TELEMETRY_SAMPLES:
                        self._record_progress(pulled)

    async def _process(self, pulled: PullResult, handler: Handler) -> None:
        async with self._lock:
            for message in pulled.messages:
                self._handle(message, handler, self._fleet.unpublished)
            await self._publish()
        await acknowledge(self._bus.client, [message.reply for message in pulled.messages])
        self._device_counts.add(self._fleet.counts.by_device)
        self._metrics.add_counts(self._fleet.counts)

    def _handle(self, message: Msg, handler: Handler, effects: Effects) -> None:
        try:
            handler(message, effects)
        except Exception:  # noqa: BLE001  one message must not stop the work for all other devices
            self._metrics.failures.inc()
            _log.exception("cannot handle a message", extra={"subject": message.subject})

    def _record_progress(self, pulled: PullResult) -> None:
        """Advance the watermark and measure the lag, by the messages that are usually the oldest and the newest."""
        if pulled.messages:
            oldest, newest = delivery_info(pulled.messages[0]), delivery_info(pulled.messages[-1])
            self._metrics.lag.observe(max((self._clock.now() - oldest.arrived).total_seconds(), 0.0))
            self._watermark.advance(newest.arrived)
        if pulled.complete_until_s is not None:
            self._watermark.advance(self._clock.at(pulled.complete_until_s))

    async def _check_silence(self) -> None:
        async with self._lock:
            self._fleet.detect_silence(self._watermark, self._fleet.unpublished)
            await self._publish()
            await self._publisher.refresh_presence(self._fleet)
        self._metrics.update_gauges(self._fleet)

    async def _publish_held_samples(self) -> None:
        """Publish held samples when they are due; while none is held, look half as long apart as one is held."""
        while True:
            await self._publisher.publish_held_samples()
            await asyncio.sleep(_HELD_SAMPLES_INTERVAL_S if self._publisher.holds_samples else HOLD_S / 2)

    async def _publish(self) -> None:
        """Publish the pending effects; what fails stays pending for the next session with this fleet."""
        await self._publisher.publish(self._fleet.unpublished, self._fleet)
        rejected, self._fleet.unpublished = self._fleet.unpublished.rejected, Effects()
        for message in rejected:
            await self._device_errors.report(message.device_id, message.subject, partial(explain, message))

    async def _measure_clock(self) -> None:
        try:
            await self._clock.measure()
        except Exception as error:  # noqa: BLE001  the earlier measurements are still valid
            _log.warning("cannot measure the broker's clock", extra={"reason": repr(error)})

    async def _reconcile_alarms(self) -> None:
        """Compare the rows of alarms with the fleet, first when it has had time to learn which devices are there."""
        while True:
            await asyncio.sleep(_ALARMS_INTERVAL_S)
            try:
                await self._reconcile(self._fleet.presence, self._clock.now())
            except DATABASE_ERRORS as error:
                _log.warning("alarms not compared with the fleet", extra={"reason": repr(error)})


async def _every(interval_s: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await work()
        await asyncio.sleep(interval_s)
