"""Answers the queries about alarms."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_contracts.messages.alarms import AcknowledgeAlarm, Alarm, AlarmPage, ListAlarms
from k1_platform.cursors import cursor_after, row_before
from k1_platform.nats.actors import acting_name
from k1_platform.postgres.pool import Pool
from k1_telemetry import errors
from k1_telemetry.alarms import store
from k1_telemetry.alarms.lifecycle import acknowledge
from k1_telemetry.alarms.recorder import save_change

_WALK: Final = "alarms"
_BEFORE_ALL: Final = "~"
"""Greater than every id."""
_UNKNOWN_PERSON: Final = "operator"


@dataclass(frozen=True, slots=True)
class AlarmQueries:
    """Lists alarms, and acknowledges them."""

    pool: Pool
    clock: Callable[[], datetime]
    on_change: Callable[[], None]
    """Called after a row has changed."""

    async def list_alarms(self, query: ListAlarms) -> AlarmPage:
        """Return a page of alarms, newest first."""
        after = row_before(query.cursor, _WALK, by_time=False)
        async with self.pool.acquire() as connection:
            total, found = await store.list_alarms(
                connection, query.state, query.device_id, after.id if after else _BEFORE_ALL, query.limit + 1
            )
        page = found[: query.limit]
        next_cursor = cursor_after(_WALK, page[-1].id) if len(found) > query.limit else None
        return AlarmPage(total=total, items=page, next_cursor=next_cursor)

    async def acknowledge(self, query: AcknowledgeAlarm) -> Alarm:
        """Acknowledge an alarm; one that is acknowledged already stays as it is.

        Raises:
            QueryError: `alarm_not_found` (404) or `alarm_cleared` (409).
        """
        now = self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            known = await store.find_alarm(connection, query.alarm_id)
            if known is None:
                raise errors.alarm_not_found(query.alarm_id)
            await store.lock_device(connection, known.device_id)
            alarm = await store.find_alarm(connection, query.alarm_id) or known
            if alarm.state == "cleared":
                raise errors.alarm_cleared(alarm.id)
            change = acknowledge(alarm, acting_name(_UNKNOWN_PERSON), query.note, now)
            if change is None:
                return alarm
            await save_change(connection, change)
            await store.write_audit_entry(connection, alarm.id, "acknowledged", now, query.note)
        self.on_change()
        return change.alarm
