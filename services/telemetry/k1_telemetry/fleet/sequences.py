"""Tracks the sequence numbers of one device's readings: gaps, duplicates, late readings and restarts; pure."""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

HISTORY_SIZE: Final = 128
"""How many sequence numbers are kept to tell duplicates from late readings: 13 s at ten readings a second."""
CLOCK_TOLERANCE: Final = timedelta(minutes=1)
_MILLISECOND: Final = timedelta(milliseconds=1)

SequenceStatus = Literal["new", "restarted", "late", "duplicate"]


class SequenceResult(NamedTuple):
    """How a reading relates to the earlier ones.

    Readings that are `new` or `restarted` are used; `late` ones and duplicates are not.
    """

    status: SequenceStatus
    missing: int = 0
    """How many readings are missing between the newest reading and this one."""
    clock_jumped: bool = False
    """The device's clock went back, or differs by over a minute from the time that passed for the broker."""


class SequenceTracker:
    """Remembers the recent readings of one device.

    A sequence number that falls means a late reading or a restart. It is late if it fits between its neighbours
    in number and in time, or if the broker redelivered it; otherwise it is a restart. So a reading that more than
    `HISTORY_SIZE` others overtook is taken for a restart. Only the counts are wrong then.
    """

    def __init__(self) -> None:
        self._recent: dict[int, float] = {}
        self._seq = -1
        self._ts = 0.0
        self._at: datetime | None = None

    def classify(self, seq: int, ts: float, at: datetime, *, redelivered: bool = False) -> SequenceResult:
        """Record and classify a reading with the device's `seq` and `ts` (ms, its clock), taken `at`."""
        if self._at is None:
            return self._record_newest("new", seq, ts, at)
        if seq > self._seq:
            missing = seq - self._seq - 1
            return self._record_newest(
                "new", seq, ts, at, missing, clock_jumped=self._has_clock_jumped(ts, at)
            )
        if self._recent.get(seq) == ts:
            return SequenceResult("duplicate")
        if redelivered or self._fills_gap(seq, ts):
            self._remember(seq, ts)
            return SequenceResult("late")
        self._recent.clear()
        return self._record_newest("restarted", seq, ts, at)

    def _record_newest(
        self,
        status: SequenceStatus,
        seq: int,
        ts: float,
        at: datetime,
        missing: int = 0,
        *,
        clock_jumped: bool = False,
    ) -> SequenceResult:
        self._seq, self._ts, self._at = seq, ts, at
        self._remember(seq, ts)
        return SequenceResult(status, missing, clock_jumped)

    def _remember(self, seq: int, ts: float) -> None:
        self._recent[seq] = ts
        if len(self._recent) > HISTORY_SIZE:
            del self._recent[next(iter(self._recent))]

    def _has_clock_jumped(self, ts: float, at: datetime) -> bool:
        assert self._at is not None
        elapsed_ms = (at - self._at) / _MILLISECOND
        return ts <= self._ts or abs(ts - self._ts - elapsed_ms) > CLOCK_TOLERANCE / _MILLISECOND

    def _fills_gap(self, seq: int, ts: float) -> bool:
        """Return whether a lower and a higher number are known, with times around this one, but not this number."""
        lower = [(number, time) for number, time in self._recent.items() if number < seq]
        higher = [(number, time) for number, time in self._recent.items() if number > seq]
        if seq in self._recent or not lower or not higher:
            return False
        return max(lower)[1] < ts < min(higher)[1]
