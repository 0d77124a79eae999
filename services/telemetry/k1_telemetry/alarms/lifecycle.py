"""Decides how the row of an alarm changes; pure, callers pass the time in.

There is at most one alarm that is not cleared for each device, kind and level. Events may arrive twice or out of order:
an event that is older than the newest event of its level changes nothing. A level that is reached `FLAP_OPENINGS`
times within `FLAP_WINDOW` flaps: its alarm stays open, counts the openings and publishes nothing, until the condition
has not held for `FLAP_QUIET`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from k1_contracts.descriptors import Publication
from k1_contracts.messages.alarms import (
    ALARM_ACKNOWLEDGED,
    ALARM_CLEARED,
    ALARM_OPENED,
    Alarm,
    AlarmAcknowledged,
    AlarmCleared,
    AlarmOpened,
)
from k1_contracts.messages.telemetry import DeviceAlarm

FLAP_OPENINGS: Final = 4
FLAP_WINDOW: Final = timedelta(minutes=1)
FLAP_QUIET: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """The new row of an alarm, and the events that tell of it."""

    alarm: Alarm
    events: tuple[Publication[Any], ...] = ()


def record_event(
    event: DeviceAlarm, newest: Alarm | None, openings: Iterable[datetime], new_id: str
) -> AlarmChange | None:
    """Return what an event changes; None when it changes nothing.

    `newest`: the alarm of this device, kind and level that was opened last. `openings`: when the alarms of the level
    were opened in the last minute. `new_id`: the id of the alarm, if the event opens one.
    """
    if event.state == "raised":
        return _raise(event, newest, openings, new_id)
    return _clear(event, newest, new_id)


def acknowledge(alarm: Alarm, by: str, note: str | None, at: datetime) -> AlarmChange | None:
    """Return what an acknowledgement changes; None when the alarm is acknowledged already.

    Raises:
        ValueError: the alarm has been cleared.
    """
    if alarm.state == "cleared":
        raise ValueError(f"{alarm.id} has been cleared")
    if alarm.state == "acknowledged":
        return None
    changes = {
        "state": "acknowledged",
        "acknowledged_at": at,
        "acknowledged_by": by,
        "note": note or None,
    }
    acknowledged = alarm.model_copy(update=changes)
    return AlarmChange(acknowledged, (_acknowledged(acknowledged),))


def settle(alarm: Alarm, now: datetime) -> AlarmChange | None:
    """Return the end of an alarm that flapped and has been quiet for `FLAP_QUIET`; None while it goes on."""
    if alarm.state == "cleared" or not alarm.flapping or alarm.raised or now - alarm.changed_at < FLAP_QUIET:
        return None
    return _end(alarm, now, f"quiet for {FLAP_QUIET.total_seconds():g}s after flapping")


def _raise(
    event: DeviceAlarm, newest: Alarm | None, openings: Iterable[datetime], new_id: str
) -> AlarmChange | None:
    if newest is not None and newest.state != "cleared":
        if event.at <= newest.changed_at:
            return None
        if newest.raised:
            # It began again, and its end comes later: that end is older than this event, and is ignored then.
            return AlarmChange(newest.model_copy(update={"changed_at": event.at}))
        changes = {"raised": True, "changed_at": event.at, "openings": newest.openings + 1}
        return AlarmChange(newest.model_copy(update=changes))
    if newest is not None and newest.cleared_at is not None and event.at <= newest.cleared_at:
        return None
    count = 1 + sum(event.at - FLAP_WINDOW < opened <= event.at for opened in openings)
    flapping = count >= FLAP_OPENINGS
    opened = _new(event, new_id, event.at, flapping=flapping, openings=count if flapping else 1)
    return AlarmChange(opened, (_opened(opened),))


def _clear(event: DeviceAlarm, newest: Alarm | None, new_id: str) -> AlarmChange | None:
    if newest is None or (newest.state == "cleared" and event.since > newest.changed_at):
        # The event that raised it comes later, or has been lost: the alarm is opened and cleared at once.
        opened = _new(event, new_id, event.since)
        ended = _end(opened, event.at, event.reason)
        return AlarmChange(ended.alarm, (_opened(opened), *ended.events))
    if newest.state == "cleared" or event.at < newest.changed_at:
        return None  # it was cleared before, for example by a leader that was killed afterwards
    if newest.raised and not newest.flapping:
        return _end(newest, event.at, event.reason)
    if newest.raised:
        return AlarmChange(newest.model_copy(update={"raised": False, "changed_at": event.at}))
    if event.since <= newest.changed_at:
        return None
    # The event that raised it comes later: it counts already, and is ignored then.
    changes = {"changed_at": event.at, "openings": newest.openings + 1}
    return AlarmChange(newest.model_copy(update=changes))


def _new(
    event: DeviceAlarm, new_id: str, opened_at: datetime, *, flapping: bool = False, openings: int = 1
) -> Alarm:
    return Alarm(
        id=new_id,
        device_id=event.device_id,
        kind=event.kind,
        level=event.level,
        state="open",
        raised=True,
        flapping=flapping,
        openings=openings,
        value=event.value,
        reason=event.reason,
        track_id=event.track_id,
        since=event.since,
        opened_at=opened_at,
        changed_at=opened_at,
    )


def _end(alarm: Alarm, at: datetime, reason: str) -> AlarmChange:
    changes = {
        "state": "cleared",
        "raised": False,
        "changed_at": at,
        "cleared_at": at,
        "clear_reason": reason,
    }
    cleared = alarm.model_copy(update=changes)
    return AlarmChange(cleared, (_cleared(cleared),))


def _opened(alarm: Alarm) -> Publication[Any]:
    return Publication(ALARM_OPENED, AlarmOpened.model_validate(alarm.model_dump()))


def _acknowledged(alarm: Alarm) -> Publication[Any]:
    return Publication(ALARM_ACKNOWLEDGED, AlarmAcknowledged.model_validate(alarm.model_dump()))


def _cleared(alarm: Alarm) -> Publication[Any]:
    return Publication(ALARM_CLEARED, AlarmCleared.model_validate(alarm.model_dump()))
