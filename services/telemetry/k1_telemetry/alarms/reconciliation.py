"""Finds alarms whose end was missed: pure.

While no telemetry process ran, a device may have recovered or left, and the leader that starts afterwards knows nothing
of its alarms. The leader's fleet is the truth for every alarm that comes from readings.
"""

from datetime import datetime, timedelta
from typing import Final

from k1_contracts.messages.alarms import Alarm
from k1_contracts.messages.telemetry import DeviceAlarm, Presence
from k1_telemetry.fleet.alarms import RANK

SETTLING: Final = timedelta(seconds=15)
"""A younger change is left alone: the events of a change reach the rows a moment later than the fleet."""


def find_missed_end(alarm: Alarm, presence: Presence | None, now: datetime) -> DeviceAlarm | None:
    """Return the event that clears an alarm which the fleet does not know (any more); None if it still holds."""
    if not alarm.raised or now - alarm.changed_at < SETTLING:
        return None
    reason = _reason(alarm, presence)
    if reason is None:
        return None
    return DeviceAlarm(
        device_id=alarm.device_id,
        kind=alarm.kind,
        level=alarm.level,
        state="cleared",
        reason=reason,
        track_id=alarm.track_id,
        since=alarm.since,
        at=now,
    )


def _reason(alarm: Alarm, presence: Presence | None) -> str | None:
    match alarm.kind:
        case "credential":
            return None  # deploy publishes its beginning and its end
        case "silence":
            return "the device is online" if presence is not None else None
        case _:
            if presence is None:
                return "the device is offline"
            known = [each for each in presence.alarms if each.kind == alarm.kind]
            holds = any(RANK[each.level] >= RANK[alarm.level] for each in known)
            return None if holds else "the condition ended while telemetry did not run"
