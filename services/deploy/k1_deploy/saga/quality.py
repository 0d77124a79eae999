"""Decides whether a device keeps the beat for so many bars: the quality gate of the first batch. Pure.

A bar counts when it holds at least one reading, and every reading is within the bound. A bar without a reading starts the
count again, because nothing is known of it; one reading beyond the bound ends the measurement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final

from k1_contracts.messages.deploy.deployments import Quality

_SLACK: Final = timedelta(seconds=30)
_ATTEMPTS: Final = 3
"""How often the bars may be counted from the start before the time is over."""


@dataclass(frozen=True, slots=True)
class QualityVerdict:
    """The end of a measurement."""

    passed: bool
    bars: int
    """How many were measured without a break."""
    max_drift_ms: float | None
    """The greatest distance from zero; None: no reading came."""
    reason: str | None = None
    """Of a failure."""


def bar_length(downbeats_ms: Sequence[float]) -> timedelta | None:
    """Return the usual length of a bar of a song; None for a map with fewer than two downbeats."""
    lengths = [later - earlier for earlier, later in pairwise(downbeats_ms)]
    return timedelta(milliseconds=median(lengths)) if lengths else None


def time_limit(quality: Quality, bar: timedelta) -> timedelta:
    """Return how long the measurement of a device may take."""
    return _ATTEMPTS * quality.bars * bar + _SLACK


class DriftMeter:
    """Measures one device; pass its readings in the order of their times."""

    def __init__(self, quality: Quality, bar: timedelta) -> None:
        self._quality, self._bar = quality, bar
        self._start: datetime | None = None
        self._bars = 0
        self._worst: float | None = None

    def add(self, at: datetime, drift_ms: float) -> QualityVerdict | None:
        """Return the verdict, if this reading decides."""
        self._worst = max(self._worst or 0.0, abs(drift_ms))
        if abs(drift_ms) > self._quality.max_drift_ms:
            reason = (
                f"drift_ms {drift_ms:+.1f} in bar {self._bars + 1} of {self._quality.bars}, "
                f"more than {self._quality.max_drift_ms:g}"
            )
            return QualityVerdict(passed=False, bars=self._bars, max_drift_ms=self._worst, reason=reason)
        bars = 0 if self._start is None else (at - self._start) // self._bar
        if self._start is None or bars > self._bars + 1:
            self._start, bars = at, 0
        self._bars = max(bars, 0)
        if self._bars < self._quality.bars:
            return None
        return QualityVerdict(passed=True, bars=self._quality.bars, max_drift_ms=self._worst)

    def time_out(self) -> QualityVerdict:
        """Return the verdict when the time is over."""
        reason = (
            f"its drift could be measured for {self._bars} of {self._quality.bars} bars only; "
            "it has to play the song meanwhile"
        )
        return QualityVerdict(passed=False, bars=self._bars, max_drift_ms=self._worst, reason=reason)
