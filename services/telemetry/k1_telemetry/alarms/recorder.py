"""Keeps the rows of alarms: records the events of devices, ends what flapped or was missed, deletes old rows.

A row and the events that tell of it are written in one transaction; the outbox relay publishes the events.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn

from k1_contracts.durables import TELEMETRY_EVENTS
from k1_contracts.ids import new_id
from k1_contracts.messages.alarms import Alarm
from k1_contracts.messages.telemetry import DeviceAlarm, Presence
from k1_platform.nats.streams.consumers import Delivery
from k1_platform.postgres.inbox import mark_handled
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import DATABASE_ERRORS, Connection, Pool
from k1_telemetry.alarms import store
from k1_telemetry.alarms.lifecycle import FLAP_QUIET, FLAP_WINDOW, AlarmChange, record_event, settle
from k1_telemetry.alarms.reconciliation import SETTLING, find_missed_end
from k1_telemetry.database import SCHEMA

_SETTLE_INTERVAL_S: Final = 2.0
_ROUNDS_BETWEEN_DELETIONS: Final = 300
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AlarmRecorder:
    """Writes the rows; every telemetry process records, whichever of them leads."""

    pool: Pool
    keep: timedelta
    """How long a cleared alarm is kept."""
    clock: Callable[[], datetime]
    on_change: Callable[[], None]
    """Called after a row has changed."""

    async def handle_event(self, delivery: Delivery[DeviceAlarm]) -> None:
        """Record an event; the same event again changes nothing."""
        async with self.pool.acquire() as connection, connection.transaction():
            if not await mark_handled(connection, SCHEMA, TELEMETRY_EVENTS.name, delivery.envelope.id):
                return
            await self._record(connection, delivery.body)
        self.on_change()

    async def reconcile(self, find_presence: Callable[[str], Presence | None], now: datetime) -> None:
        """Clear the alarms that the leader's fleet does not know any more; `now` is the broker's time."""
        async with self.pool.acquire() as connection:
            raised = await store.list_raised(connection, now - SETTLING)
        for alarm in raised:
            event = find_missed_end(alarm, find_presence(alarm.device_id), now)
            if event is not None:
                async with self.pool.acquire() as connection, connection.transaction():
                    await self._record(connection, event)
                _log.info("cleared an alarm whose end was missed", extra={"alarm_id": alarm.id})
                self.on_change()

    async def run(self) -> NoReturn:
        """End the alarms that flapped and delete old ones, until cancelled."""
        rounds = 0
        while True:
            try:
                await self.settle_quiet(self.clock())
                if rounds % _ROUNDS_BETWEEN_DELETIONS == 0:
                    async with self.pool.acquire() as connection:
                        await store.delete_cleared(connection, self.clock() - self.keep)
            except DATABASE_ERRORS as error:
                _log.warning("alarms not maintained", extra={"reason": repr(error)})
            rounds += 1
            await asyncio.sleep(_SETTLE_INTERVAL_S)

    async def settle_quiet(self, now: datetime) -> None:
        """Clear the alarms that flapped and have been quiet for long enough."""
        async with self.pool.acquire() as connection:
            quiet = await store.list_quiet(connection, now - FLAP_QUIET)
        for each in quiet:
            async with self.pool.acquire() as connection, connection.transaction():
                await store.lock_device(connection, each.device_id)
                alarm = await store.find_alarm(connection, each.id)
                change = settle(alarm, now) if alarm else None
                if change is not None:
                    await save_change(connection, change)
            self.on_change()

    async def _record(self, connection: Connection, event: DeviceAlarm) -> None:
        await store.lock_device(connection, event.device_id)
        newest: Alarm | None = await store.find_newest(connection, event)
        openings = await store.find_openings(connection, event, FLAP_WINDOW)
        change = record_event(event, newest, openings, new_id("alm"))
        if change is not None:
            await save_change(connection, change)


async def save_change(connection: Connection, change: AlarmChange) -> None:
    """Write a row and its events."""
    await store.save_alarm(connection, change.alarm)
    for event in change.events:
        await enqueue(connection, SCHEMA, event.message, event.body, source=SCHEMA)
