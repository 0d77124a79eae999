"""Tracks the sequence numbers of one device's readings: gaps, duplicates, late readings and restarts; pure."""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

HISTORY_SIZE: Final = 128
"""How many sequence numbers are kept to tell duplicates from late readings: 13 s at ten readings a second."""
CLOCK_TOLERANCE: Final = timedelta(minutes=1)
_MILLISECOND: Final = timedelta(milliseconds=1)
_TOLERANCE_MS: Final = CLOCK_TOLERANCE / _MILLISECOND

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


NEXT: Final = SequenceResult("new")
"""What most readings are: new, without a gap before them."""


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
            self._record_newest(seq, ts, at)
            return NEXT
        if seq > self._seq:
            missing, clock_jumped = seq - self._seq - 1, self._has_clock_jumped(ts, at)
            self._record_newest(seq, ts, at)
            return SequenceResult("new", missing, clock_jumped) if missing or clock_jumped else NEXT
        if self._recent.get(seq) == ts:
            return SequenceResult("duplicate")
        if redelivered or self._fills_gap(seq, ts):
            self._remember(seq, ts)
            return SequenceResult("late")
        self._recent.clear()
        self._record_newest(seq, ts, at)
        return SequenceResult("restarted")

    def _record_newest(self, seq: int, ts: float, at: datetime) -> None:
        self._seq, self._ts, self._at = seq, ts, at
        self._remember(seq, ts)

    def _remember(self, seq: int, ts: float) -> None:
        self._recent[seq] = ts
        if len(self._recent) > HISTORY_SIZE:
            del self._recent[next(iter(self._recent))]

    def _has_clock_jumped(self, ts: float, at: datetime) -> bool:
        assert self._at is not None
        elapsed_ms = (at - self._at) / _MILLISECOND
        return ts <= self._ts or abs(ts - self._ts - elapsed_ms) > _TOLERANCE_MS

    def _fills_gap(self, seq: int, ts: float) -> bool:
        """Return whether a lower and a higher number are known, with times around this one, but not this number."""
        lower = [(number, time) for number, time in self._recent.items() if number < seq]
        higher = [(number, time) for number, time in self._recent.items() if number > seq]
        if seq in self._recent or not lower or not higher:
            return False
        return max(lower)[1] < ts < min(higher)[1]
