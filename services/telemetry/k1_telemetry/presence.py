"""Who is there: pure, with the time passed in, all of it by the broker's clock."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

SILENCE: Final = timedelta(seconds=5)
STALE: Final = timedelta(seconds=10)
"""What is older brings no device online: it was read late and says nothing about now."""
BLIND: Final = timedelta(seconds=1)
"""A longer time in which nothing could be heard of anybody is held against nobody."""
STREAMS_APART: Final = timedelta(milliseconds=500)
"""Hellos and readings are kept by two streams, so the order of two that are closer is not known."""


class Sight:
    """Up to when all that the broker took in has been read.

    Silence can only be told up to there. When it jumps, nothing could be heard for a while (the broker was
    away, or this process was), and every silence begins anew at `regained`.
    """

    def __init__(self, since: datetime) -> None:
        self.until = since
        self.regained = since

    def reaches(self, at: datetime) -> None:
        """All up to `at` has been read."""
        if at - self.until > BLIND:
            self.regained = at
        self.until = max(self.until, at)


@dataclass(slots=True)
class Stay:
    """A device that is online."""

    device_id: str
    since: datetime
    last_seen: datetime


class Attendance:
    """The devices that are online, and when those that said bye did."""

    def __init__(self, stays: Iterable[Stay] = ()) -> None:
        # In the order in which they were last heard, so that the silent ones stand first.
        self._stays = OrderedDict((stay.device_id, stay) for stay in sorted(stays, key=lambda s: s.last_seen))
        self._left: dict[str, datetime] = {}

    def __len__(self) -> int:
        return len(self._stays)

    def __iter__(self) -> Iterator[Stay]:
        return iter(self._stays.values())

    def get(self, device_id: str) -> Stay | None:
        """None for a device that is offline."""
        return self._stays.get(device_id)

    def said_hello(self, device_id: str, at: datetime, now: datetime) -> bool:
        """Whether the device has come online by it."""
        left = self._left.get(device_id)
        if left is not None and at < left:
            return False
        return self._seen(device_id, at, now)

    def sent_reading(self, device_id: str, at: datetime, now: datetime) -> bool:
        """Whether the device has come online by it; one from about the time of its bye does not count."""
        left = self._left.get(device_id)
        if left is not None and at <= left + STREAMS_APART:
            return False
        return self._seen(device_id, at, now)

    def said_bye(self, device_id: str, at: datetime) -> Stay | None:
        """The stay that ends by it; a bye of an earlier connection ends none."""
        stay = self._stays.get(device_id)
        if stay is not None and at + STREAMS_APART < stay.last_seen:
            return None
        self._left[device_id] = at
        return self._stays.pop(device_id, None)

    def fell_silent(self, sight: Sight) -> list[Stay]:
        """The stays that end because nothing was heard for five seconds."""
        for device_id in [name for name, at in self._left.items() if sight.until - at > STALE]:
            del self._left[device_id]
        silent: list[Stay] = []
        for stay in self._stays.values():
            if sight.until - max(stay.last_seen, sight.regained) < SILENCE:
                break
            silent.append(stay)
        for stay in silent:
            del self._stays[stay.device_id]
        return silent

    def _seen(self, device_id: str, at: datetime, now: datetime) -> bool:
        stay = self._stays.get(device_id)
        if stay is not None:
            if at > stay.last_seen:
                stay.last_seen = at
                self._stays.move_to_end(device_id)
            return False
        if now - at > STALE:
            return False
        self._left.pop(device_id, None)
        self._stays[device_id] = Stay(device_id, at, at)
        return True
