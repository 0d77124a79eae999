"""Checks the rows of alarms against the presence of devices and against the events of the stream."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from k1_contracts import streams
from k1_contracts.messages.alarms import ALARM_CLEARED, ALARM_OPENED
from k1_contracts.messages.telemetry import DEVICE_ALARM, Presence
from k1_telemetry.alarms.lifecycle import FLAP_QUIET
from tests.soak.activities import Activities
from tests.support.bus import connected_client, read_stream
from tests.support.system import System, wait_for

_SHOWN: Final = 5
_LATE: Final = timedelta(seconds=10)
"""The service looks every two seconds for alarms that flapped."""


def conditions_that_ended_are_cleared(system: System, _: Activities) -> list[str]:
    """No alarm is left open whose device does not have the condition (any more), or that flapped over a minute ago."""
    return _lasting(lambda: _ended(system), "every alarm whose condition has ended is cleared")


def _ended(system: System) -> list[str]:
    present = asyncio.run(_presences(system))
    rows = system.sql(
        "SELECT device_id, kind, level, raised, changed_at, now() AS now FROM telemetry.alarms"
        " WHERE state <> 'cleared' AND kind <> 'credential'"
    )
    found: list[str] = []
    for row in rows:
        device, name = present.get(row["device_id"]), f"{row['kind']} {row['level']} of {row['device_id']}"
        if not row["raised"]:
            if row["now"] - row["changed_at"] > FLAP_QUIET + _LATE:
                found.append(f"{name} is open, though it has been quiet since {row['changed_at']}")
        elif row["kind"] == "silence":
            if device is not None:
                found.append(f"{name} is open, though the device is online")
        elif device is None or row["kind"] not in {each.kind for each in device.alarms}:
            found.append(f"{name} is open, though its condition has ended")
    return found


async def _presences(system: System) -> dict[str, Presence]:
    bucket = streams.PRESENCE
    async with connected_client(system.stack.bus) as client:
        entries = await read_stream(client, bucket.stream, f"$KV.{bucket.name}.*")
    found = [Presence.model_validate_json(each.data) for each in entries if each.data]
    return {each.device_id: each for each in found}


def levels_reached_are_rows(system: System, _: Activities) -> list[str]:
    """Each level that a device reached is an alarm that was open then or later."""
    return _lasting(lambda: _not_recorded(system), "every level that was reached is an alarm")


def _not_recorded(system: System) -> list[str]:
    events = asyncio.run(_bodies(system, DEVICE_ALARM.subject))
    rows = system.sql("SELECT device_id, kind, level, cleared_at FROM telemetry.alarms")
    found: list[str] = []
    for event in events:
        level = event["device_id"], event["kind"], event["level"]
        ends = [row["cleared_at"] for row in rows if (row["device_id"], row["kind"], row["level"]) == level]
        at = datetime.fromisoformat(event["at"])
        if event["state"] == "raised" and not any(end is None or end >= at for end in ends):
            found.append(f"{level} was reached at {event['at']}, and no alarm says so")
    return found[:_SHOWN]


def rows_were_published_once(system: System, _: Activities) -> list[str]:
    """Each alarm has one event of its opening and, once it is cleared, one of its end; there are no others."""
    return _lasting(lambda: _published_otherwise(system), "the events of alarms are those of their rows")


def _published_otherwise(system: System) -> list[str]:
    rows = {row["id"]: row["state"] for row in system.sql("SELECT id, state FROM telemetry.alarms")}
    cleared = [name for name, state in rows.items() if state == "cleared"]
    found: list[str] = []
    for event, expected in ((ALARM_OPENED, list(rows)), (ALARM_CLEARED, cleared)):
        published = Counter(each["id"] for each in asyncio.run(_bodies(system, event.subject)))
        different = (Counter(expected) - published) | (published - Counter(expected))
        found += [f"{event.subject} of {name}: published {published[name]} times" for name in different]
    return found[:_SHOWN]


def rows_follow_each_other(system: System, _: Activities) -> Iterator[str]:
    """Of a level, one alarm is open at a time; a cleared one has an end, and only one that flaps is open without cause."""
    overlapping = system.sql(
        "SELECT id, opened_at, before FROM (SELECT id, opened_at, lag(coalesce(cleared_at, 'infinity'))"
        " OVER (PARTITION BY device_id, kind, level ORDER BY opened_at, id) AS before FROM telemetry.alarms) AS each"
        " WHERE opened_at < before"
    )
    yield from (
        f"{row['id']} was opened before the alarm before it was cleared" for row in overlapping[:_SHOWN]
    )
    wrong = system.sql(
        "SELECT id, state, raised, flapping, openings, cleared_at FROM telemetry.alarms"
        " WHERE (state = 'cleared') <> (cleared_at IS NOT NULL) OR (state = 'cleared' AND raised)"
        " OR (state <> 'cleared' AND NOT raised AND NOT flapping) OR openings < 1 OR (openings > 1 AND NOT flapping)"
        " OR cleared_at < opened_at"
    )
    yield from (f"the row of an alarm contradicts itself: {row}" for row in wrong[:_SHOWN])


async def _bodies(system: System, subject: str) -> list[dict[str, Any]]:
    async with connected_client(system.stack.bus) as client:
        messages = await read_stream(client, streams.EVENTS, subject)
    return [json.loads(each.data) for each in messages]


def _lasting(find: Callable[[], list[str]], what: str) -> list[str]:
    """Return what is wrong and stays so; devices go on sending, so an alarm may be about to be cleared or published."""
    try:
        wait_for(lambda: not find(), what)
    except AssertionError:
        return find()
    return []
