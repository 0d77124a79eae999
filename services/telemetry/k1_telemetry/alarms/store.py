"""The table `alarms` and its audit: one function for each read or change, inside its caller's transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from k1_contracts.actors import service_actor
from k1_contracts.messages.alarms import Alarm, AlarmState
from k1_contracts.messages.telemetry import DeviceAlarm
from k1_platform.nats.actors import current_actor
from k1_platform.postgres.pool import Connection
from k1_telemetry.database import SCHEMA

_FIELDS: Final = tuple(Alarm.model_fields)
_COLUMNS: Final = ", ".join(_FIELDS)
_VALUES: Final = ", ".join(f"${number}" for number in range(1, len(_FIELDS) + 1))
_CHANGES: Final = ", ".join(f"{name} = excluded.{name}" for name in _FIELDS if name != "id")
_LEVEL: Final = "device_id = $1 AND kind = $2 AND level = $3"
_SERVICE: Final = service_actor(SCHEMA)


async def lock_device(connection: Connection, device_id: str) -> None:
    """Wait until no other transaction changes alarms of a device."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtext('telemetry.alarms'), hashtext($1))", device_id
    )


async def find_newest(connection: Connection, event: DeviceAlarm) -> Alarm | None:
    """Return the alarm of the event's device, kind and level that was opened last."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM telemetry.alarms WHERE {_LEVEL} ORDER BY opened_at DESC, id DESC LIMIT 1",  # noqa: S608  constants
        event.device_id,
        event.kind,
        event.level,
    )
    return _alarm(row) if row else None


async def find_openings(connection: Connection, event: DeviceAlarm, window: timedelta) -> list[datetime]:
    """Return when the alarms of the event's level were opened within `window` before it."""
    rows = await connection.fetch(
        f"SELECT opened_at FROM telemetry.alarms WHERE {_LEVEL} AND opened_at > $4",  # noqa: S608  constants
        event.device_id,
        event.kind,
        event.level,
        event.at - window,
    )
    return [row["opened_at"] for row in rows]


async def find_alarm(connection: Connection, alarm_id: str) -> Alarm | None:
    """Return one alarm."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM telemetry.alarms WHERE id = $1", alarm_id)  # noqa: S608
    return _alarm(row) if row else None


async def save_alarm(connection: Connection, alarm: Alarm) -> None:
    """Add an alarm, or write its new state."""
    values = alarm.model_dump()
    await connection.execute(
        f"INSERT INTO telemetry.alarms ({_COLUMNS}) VALUES ({_VALUES})"  # noqa: S608  constants
        f" ON CONFLICT (id) DO UPDATE SET {_CHANGES}",
        *(values[name] for name in _FIELDS),
    )


async def list_alarms(
    connection: Connection, state: AlarmState | None, device_id: str | None, before: str, limit: int
) -> tuple[int, list[Alarm]]:
    """Return how many alarms there are, and those before an id, newest first."""
    where = "($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR device_id = $2)"
    counted = await connection.fetch(
        f"SELECT count(*) AS n FROM telemetry.alarms WHERE {where}",  # noqa: S608  constants
        state,
        device_id,
    )
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM telemetry.alarms WHERE {where} AND id < $3 ORDER BY id DESC LIMIT $4",  # noqa: S608
        state,
        device_id,
        before,
        limit,
    )
    return counted[0]["n"], [_alarm(row) for row in rows]


async def list_raised(connection: Connection, until: datetime) -> list[Alarm]:
    """Return the alarms whose condition has held since before `until`."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM telemetry.alarms WHERE state <> 'cleared' AND raised AND changed_at <= $1",  # noqa: S608
        until,
    )
    return [_alarm(row) for row in rows]


async def list_quiet(connection: Connection, until: datetime) -> list[Alarm]:
    """Return the flapping alarms whose condition ended before `until` and has not begun again."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM telemetry.alarms"  # noqa: S608  constants
        " WHERE state <> 'cleared' AND flapping AND NOT raised AND changed_at <= $1",
        until,
    )
    return [_alarm(row) for row in rows]


async def count_by_state(connection: Connection) -> dict[str, int]:
    """Return how many alarms are open and acknowledged."""
    rows: Sequence[asyncpg.Record] = await connection.fetch(
        "SELECT state, count(*) AS n FROM telemetry.alarms WHERE state <> 'cleared' GROUP BY state"
    )
    return {"open": 0, "acknowledged": 0} | {row["state"]: row["n"] for row in rows}


async def delete_cleared(connection: Connection, before: datetime) -> None:
    """Delete alarms that were cleared before a time; their audit stays."""
    await connection.execute("DELETE FROM telemetry.alarms WHERE cleared_at < $1", before)


async def write_audit_entry(
    connection: Connection, alarm_id: str, action: str, at: datetime, detail: str | None
) -> None:
    """Record what a person did with an alarm."""
    actor = current_actor() or _SERVICE
    await connection.execute(
        "INSERT INTO telemetry.audit (at, actor, action, alarm_id, detail) VALUES ($1, $2, $3, $4, $5)",
        at,
        actor.model_dump_json(exclude_none=True),
        action,
        alarm_id,
        detail,
    )


def _alarm(row: asyncpg.Record) -> Alarm:
    return Alarm.model_validate(dict(row))
