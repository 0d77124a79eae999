"""The numbering of one device's readings: gaps, repeats, late ones, a device that began anew."""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

REMEMBERED: Final = 128
"""Readings whose numbers are kept to tell a repeat from a late one: 13 s at ten a second."""
CLOCK_TOLERANCE: Final = timedelta(minutes=1)
_MILLISECOND: Final = timedelta(milliseconds=1)

Verdict = Literal["new", "restarted", "late", "duplicate"]


class Judgement(NamedTuple):
    """What a reading is; `new` and `restarted` count, the others were told already or come too late."""

    verdict: Verdict
    missing: int = 0
    """Readings between the newest one and this, never seen so far."""
    clock_jumped: bool = False
    """The device's clock went back, or a minute off the time that went by for the broker."""


class Numbering:
    """What has been seen of one device.

    A number that falls is a late reading or a restart. Late is what fits between its neighbours in number and
    in time, or what the broker says it delivers again; all else is a restart. A reading held back for longer
    than `REMEMBERED` others is so taken for a restart, which costs nothing but a wrong count.
    """

    def __init__(self) -> None:
        self._recent: dict[int, float] = {}
        self._seq = -1
        self._ts = 0.0
        self._at: datetime | None = None

    def judge(self, seq: int, ts: float, at: datetime, *, redelivered: bool = False) -> Judgement:
        """Take note of a reading with the device's `seq` and `ts` (ms, its clock), taken `at`."""
        if self._at is None:
            return self._newest("new", seq, ts, at)
        if seq > self._seq:
            missing = seq - self._seq - 1
            return self._newest("new", seq, ts, at, missing, clock_jumped=self._jumped(ts, at))
        if self._recent.get(seq) == ts:
            return Judgement("duplicate")
        if redelivered or self._fits(seq, ts):
            self._remember(seq, ts)
            return Judgement("late")
        self._recent.clear()
        return self._newest("restarted", seq, ts, at)

    def _newest(
        self,
        verdict: Verdict,
        seq: int,
        ts: float,
        at: datetime,
        missing: int = 0,
        *,
        clock_jumped: bool = False,
    ) -> Judgement:
        self._seq, self._ts, self._at = seq, ts, at
        self._remember(seq, ts)
        return Judgement(verdict, missing, clock_jumped)

    def _remember(self, seq: int, ts: float) -> None:
        self._recent[seq] = ts
        if len(self._recent) > REMEMBERED:
            del self._recent[next(iter(self._recent))]

    def _jumped(self, ts: float, at: datetime) -> bool:
        assert self._at is not None
        gone_ms = (at - self._at) / _MILLISECOND
        return ts <= self._ts or abs(ts - self._ts - gone_ms) > CLOCK_TOLERANCE / _MILLISECOND

    def _fits(self, seq: int, ts: float) -> bool:
        """Whether a gap was left for it: a lower and a higher number were seen, with times around its own."""
        lower = [(number, time) for number, time in self._recent.items() if number < seq]
        higher = [(number, time) for number, time in self._recent.items() if number > seq]
        if seq in self._recent or not lower or not higher:
            return False
        return max(lower)[1] < ts < min(higher)[1]
