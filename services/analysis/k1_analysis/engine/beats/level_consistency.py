"""Keeps the beats at one metrical level for the whole song.

A decoder that may choose any tempo at any time follows the fuller of two levels from part to part: the quavers of
a busy verse, the crotchets of a sparse one. People keep to one level, and so must a light show.
"""

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.beats.trackers.viterbi import TempoModel, track_beats

_SAME_LEVEL = 0.15
"""Greatest distance of an interval from a level's own interval, as a share of it."""
_FACTORS = (2, 3)
_MIN_SHARE = 0.05
"""Share of the intervals at another level below which nothing is changed: fills and gaps are not a level."""
SLOW_SHARE = 1 / 3
"""Share of the time from which the slower level is used for all; a half-time breakdown takes less."""
_TEMPO_REACH = 1.35
"""Greatest ratio of the tempo to that of the level; the next level is further away."""


def keep_one_level(beats: Seconds, activation: Floats, inertia: float) -> Seconds:
    """Return the beats at one metrical level; they are decoded again if they change between two levels.

    Args:
        beats: rising times in seconds, decoded with a free choice of tempo.
        activation: (T,) probability of a beat in each frame.
        inertia: of the tempo model.
    """
    if len(beats) < 3:  # noqa: PLR2004  two intervals that may differ
        return beats
    intervals = np.diff(beats)
    ratio = intervals / np.median(intervals)
    usual, slower, faster = _near(ratio, 1), _near_any(ratio), _near_any(1 / ratio)
    if max(slower.mean(), faster.mean()) < _MIN_SHARE:
        return beats
    slow, fast = (slower, usual) if slower.sum() > faster.sum() else (usual, faster)
    level = slow if intervals[slow].sum() >= SLOW_SHARE * intervals.sum() else fast
    # Whole numbers, because the decoder caches its tables for each model.
    bpm = 60 / float(np.median(intervals[level]))
    model = TempoModel(round(bpm / _TEMPO_REACH), round(bpm * _TEMPO_REACH), inertia)
    return track_beats(activation, model)


def _near(ratio: Seconds, factor: float) -> NDArray[np.bool_]:
    return np.abs(ratio / factor - 1) <= _SAME_LEVEL


def _near_any(ratio: Seconds) -> NDArray[np.bool_]:
    return np.logical_or.reduce([_near(ratio, factor) for factor in _FACTORS])
