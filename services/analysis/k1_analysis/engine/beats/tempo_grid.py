"""The constant grid behind the beats of a song that was made with a clock."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.beats.refinement import EDGE_S

INLIER_S = 0.02
INLIER_SHARE = 0.8
"""A song whose beats lie on one straight line to this extent was made with a clock."""
STRAY_S = 0.025
"""Median distance of a run of beats from the grid that tells a drift."""
_RUN = 16
_FEWEST = 16
_FIT_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Grid:
    """Evenly spaced beats: beat k lies at start_s + k * period_s for any whole k."""

    period_s: float
    start_s: float
    inliers: float
    """Share of the tracked beats within INLIER_S of the grid."""

    def strays(self, beats: Seconds, sure: NDArray[np.bool_]) -> bool:
        """Whether a run of beats lies beside the grid: a band's tempo drifts, a clock's does not.

        Args:
            beats: rising times in seconds.
            sure: which of them are heard so clearly that it is not the tracker that errs.
        """
        offset = beats[sure] - self.start_s
        offset -= np.round(offset / self.period_s) * self.period_s
        runs = range(0, len(offset) - _RUN + 1, _RUN // 2)
        return any(abs(np.median(offset[first : first + _RUN])) > STRAY_S for first in runs)

    def times(self, start_s: float, end_s: float) -> Seconds:
        """Every beat from `start_s` to `end_s`, however few the tracker found there."""
        first = np.ceil((start_s - EDGE_S - self.start_s) / self.period_s)
        last = np.floor((end_s - self.start_s) / self.period_s)
        return np.maximum(self.start_s + self.period_s * np.arange(first, last + 1), start_s)


def fit_grid(beats: Seconds) -> Grid | None:
    """The constant grid behind the beats, if one explains INLIER_SHARE of them.

    Least squares on (beat number, time), outliers left out round by round; numbers come from the rounded
    intervals, so that a missed beat leaves a gap instead of shifting the rest.
    """
    if len(beats) < _FEWEST:
        return None
    period = float(np.median(np.diff(beats)))
    numbers = np.concatenate([[0], np.cumsum(np.round(np.diff(beats) / period))])
    start = float(beats[0])
    keep = np.ones(len(beats), bool)
    for _ in range(_FIT_ROUNDS):
        period, start = np.polyfit(numbers[keep], beats[keep], 1).tolist()
        numbers = np.round((beats - start) / period)
        residual = np.abs(beats - start - period * numbers)
        refreshed = residual <= max(INLIER_S, float(np.median(residual)))
        if (refreshed == keep).all() or np.ptp(numbers[refreshed]) == 0:
            break
        keep = refreshed
    inliers = float(np.mean(np.abs(beats - start - period * numbers) <= INLIER_S))
    if inliers < INLIER_SHARE or period <= 0:
        return None
    return Grid(period, start, inliers)
