"""Checks the invariants of presence events: each change of a device is published exactly once, and none is invented."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from k1_contracts.messages.telemetry import DeviceOffline, DeviceOnline

MIN_SILENCE = timedelta(seconds=4)
"""A device is offline after five seconds of silence; one second is left for differences between clocks."""
CLOCK_TOLERANCE = timedelta(milliseconds=10)


@dataclass(frozen=True)
class PresenceHistory:
    """What the streams have stored about some devices, oldest first."""

    events: Sequence[DeviceOnline | DeviceOffline]
    readings: Mapping[str, Sequence[datetime]]
    """When the broker stored the readings of each device."""


def find_violations(
    history: PresenceHistory, device_ids: Iterable[str], left_during_kill: Collection[str] = ()
) -> list[str]:
    """Return one text per violated invariant.

    Each device has come online once and gone offline once, with a bye. A silence in between is no violation if the
    broker really stored no reading meanwhile, which happens on a slow machine. A device that left while the leader was
    killed may end with such a silence: the broker had just given its bye to that process, and repeats it after 15 s.
    """
    return [
        violation
        for device_id in device_ids
        for violation in _check_device(history, device_id, ends_silent=device_id in left_during_kill)
    ]


def _check_device(history: PresenceHistory, device_id: str, *, ends_silent: bool) -> Iterator[str]:
    changes: list[str] = []
    for event in history.events:
        if event.device_id != device_id:
            continue
        if isinstance(event, DeviceOnline) and changes[-1:] == ["true silence"]:
            changes.pop()
        elif isinstance(event, DeviceOffline) and _is_true_silence(history, event):
            changes.append("true silence")
        else:
            changes.append("online" if isinstance(event, DeviceOnline) else event.reason)
    if changes != ["online", "bye"] and not (ends_silent and changes == ["online", "true silence"]):
        yield f"{device_id} was published as {', '.join(changes) or 'nothing'}, not as online, bye"


def _is_true_silence(history: PresenceHistory, event: DeviceOffline) -> bool:
    if event.reason != "silence" or event.last_seen is None:
        return False
    begin, end = event.last_seen + CLOCK_TOLERANCE, event.last_seen + MIN_SILENCE
    return not any(begin < at < end for at in history.readings.get(event.device_id, ()))
