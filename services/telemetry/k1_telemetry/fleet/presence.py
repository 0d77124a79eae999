"""Tracks which devices are online; pure, callers pass the time in, always on the broker's clock."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

SILENCE_TIMEOUT: Final = timedelta(seconds=5)
MAX_AGE: Final = timedelta(seconds=10)
"""An older message brings no device online: it was read too late to show the current state."""
MAX_OUTAGE: Final = timedelta(seconds=1)
"""A longer gap in consuming is an outage; no silence is counted across it."""
STREAM_ORDER_TOLERANCE: Final = timedelta(milliseconds=500)
"""Hellos and readings are stored in two streams, so the order of two that are closer is unknown."""


class Watermark:
    """The time up to which all messages that the broker stored have been processed.

    Silence can be detected only up to `position`. When the watermark jumps, the broker or this process was
    unavailable. Then the silence of every device is counted from `resumed_at`.
    """

    def __init__(self, start: datetime) -> None:
        self.position = start
        self.resumed_at = start

    def advance(self, to: datetime) -> None:
        """Record that all messages up to this time have been processed; never move back."""
        if to - self.position > MAX_OUTAGE:
            self.resumed_at = to
        self.position = max(self.position, to)


@dataclass(slots=True)
class Session:
    """The time during which one device is online without a break."""

    device_id: str
    online_since: datetime
    last_seen: datetime
    is_confirmed: bool = True
    """False for a device that an earlier leader left online too long ago, until its next message."""


class PresenceTracker:
    """Tracks the sessions of the devices that are online, and when devices said bye."""

    def __init__(self, sessions: Iterable[Session] = ()) -> None:
        # Ordered by `last_seen`, so that silent devices come first.
        self._sessions = OrderedDict(
            (session.device_id, session) for session in sorted(sessions, key=lambda s: s.last_seen)
        )
        self._byes: dict[str, datetime] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    def get(self, device_id: str) -> Session | None:
        """Return the session of a device, or None if it is offline."""
        return self._sessions.get(device_id)

    def record_hello(self, device_id: str, at: datetime, now: datetime) -> bool:
        """Record a hello; return whether the device came online."""
        bye_at = self._byes.get(device_id)
        if bye_at is not None and at < bye_at:
            return False
        return self._record(device_id, at, now)

    def record_reading(self, device_id: str, at: datetime, now: datetime) -> bool:
        """Record a reading; return whether the device came online.

        A reading from about the time of the device's bye is ignored.
        """
        bye_at = self._byes.get(device_id)
        if bye_at is not None and at <= bye_at + STREAM_ORDER_TOLERANCE:
            return False
        return self._record(device_id, at, now)

    def record_bye(self, device_id: str, at: datetime) -> Session | None:
        """Record a bye; return the session that it ends. A bye of an earlier connection ends none."""
        session = self._sessions.get(device_id)
        if session is not None and at + STREAM_ORDER_TOLERANCE < session.last_seen:
            return None
        self._byes[device_id] = at
        return self._sessions.pop(device_id, None)

    def expire_silent(self, watermark: Watermark) -> list[Session]:
        """Remove and return the sessions of devices that sent no message for five seconds."""
        for device_id in [name for name, at in self._byes.items() if watermark.position - at > MAX_AGE]:
            del self._byes[device_id]
        silent: list[Session] = []
        for session in self._sessions.values():
            if watermark.position - max(session.last_seen, watermark.resumed_at) < SILENCE_TIMEOUT:
                break
            silent.append(session)
        for session in silent:
            del self._sessions[session.device_id]
        return silent

    def _record(self, device_id: str, at: datetime, now: datetime) -> bool:
        session = self._sessions.get(device_id)
        is_current = now - at <= MAX_AGE
        if session is not None:
            session.is_confirmed |= is_current
            if at > session.last_seen:
                session.last_seen = at
                self._sessions.move_to_end(device_id)
            return False
        if not is_current:
            return False
        self._byes.pop(device_id, None)
        self._sessions[device_id] = Session(device_id, at, at)
        return True
