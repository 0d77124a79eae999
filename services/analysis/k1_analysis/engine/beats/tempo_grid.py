"""Fits a constant grid to the beats of a song that was sequenced by a machine."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.beats.refinement import EDGE_S

INLIER_S = 0.02
INLIER_SHARE = 0.8
"""Share of the beats on one straight line from which a song was sequenced by a machine."""
DRIFT_S = 0.025
"""Median distance of a run of beats from the grid, from which the tempo drifts."""
_RUN = 16
_MIN_BEATS = 16
_FIT_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class TempoGrid:
    """Evenly spaced beats: beat k lies at start_s + k * period_s for any whole k."""

    period_s: float
    start_s: float
    inliers: float
    """Share of the tracked beats within INLIER_S of the grid."""

    def drifts(self, beats: Seconds, sure: NDArray[np.bool_]) -> bool:
        """Return whether a run of beats leaves the grid: a band's tempo drifts, that of a machine does not.

        Args:
            beats: rising times in seconds.
            sure: which of them have so much activation that the tracker is right.
        """
        offset = beats[sure] - self.start_s
        offset -= np.round(offset / self.period_s) * self.period_s
        runs = range(0, len(offset) - _RUN + 1, _RUN // 2)
        return any(abs(np.median(offset[first : first + _RUN])) > DRIFT_S for first in runs)

    def times(self, start_s: float, end_s: float) -> Seconds:
        """Return every beat of the grid from `start_s` to `end_s`, also where the tracker found none."""
        first = np.ceil((start_s - EDGE_S - self.start_s) / self.period_s)
        last = np.floor((end_s - self.start_s) / self.period_s)
        return np.maximum(self.start_s + self.period_s * np.arange(first, last + 1), start_s)


def fit_grid(beats: Seconds) -> TempoGrid | None:
    """Return the constant grid that explains at least INLIER_SHARE of the beats; None if there is none.

    Uses least squares on (beat number, time), and leaves out outliers round by round. The numbers come from the
    rounded intervals, so that a missed beat leaves a gap instead of shifting the rest.
    """
    if len(beats) < _MIN_BEATS:
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
    return TempoGrid(period, start, inliers)
