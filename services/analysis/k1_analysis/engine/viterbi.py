"""Beats from a beat activation: the bar-pointer model, decoded by Viterbi.

Model: Krebs, Böck and Widmer, "An efficient state-space model for joint tempo and meter tracking", ISMIR
2015, without bars. A state is (interval between beats, frames since the last beat); the interval may change
at beats only. A path's score is kept relative to the score of hearing no beat at all, so that only the states
inside a beat region change from frame to frame and each frame costs a few hundred additions.
"""

from dataclasses import dataclass
from functools import cache

import numba
import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.framing import FRAME_RATE_HZ, Floats, Seconds

BEAT_REGION = 16
"""A beat is heard during the first 1/BEAT_REGION of its interval."""
NON_BEAT_SPREAD = 15.0
"""The share of a frame that is no beat is spread over the rest of the interval."""
_LARGEST_STEP = 0.25
"""Tempo changes beyond this ratio from one beat to the next are not considered."""


@dataclass(frozen=True, slots=True)
class TempoModel:
    """Which tempi the decoder considers and how reluctantly it changes between them."""

    lowest_bpm: float
    highest_bpm: float
    inertia: float
    """A change of interval by the ratio r costs inertia * |r - 1| in log probability."""
    tempi: int = 90


@cache
def _intervals(model: TempoModel) -> NDArray[np.int64]:
    """Frames between beats, rising, about evenly spread in log tempo."""
    shortest, longest = (60 * FRAME_RATE_HZ / bpm for bpm in (model.highest_bpm, model.lowest_bpm))
    return np.unique(np.round(np.geomspace(shortest, longest, model.tempi)).astype(np.int64))


@cache
def _transitions(model: TempoModel) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """((I, I) log probability from row to column, (I, 2) first and one past the last row to consider)."""
    intervals = _intervals(model)
    change = np.abs(intervals[None, :] / intervals[:, None] - 1)
    weight = np.exp(-model.inertia * change)
    log_probability = np.log(np.maximum(weight / weight.sum(axis=1, keepdims=True), 1e-300))
    near = change <= _LARGEST_STEP
    rows = np.stack([near.argmax(axis=0), len(intervals) - near[::-1].argmax(axis=0)], axis=1)
    return log_probability, rows.astype(np.int64)


def track_beats(activation: Floats, model: TempoModel, floor: float = 1e-3) -> Seconds:
    """The most probable beat times in seconds.

    Args:
        activation: (T,) probability of a beat in each frame, 0..1.
        model: tempi and inertia.
        floor: probabilities are clipped to floor..1 - floor.
    """
    if len(activation) == 0:
        return np.empty(0)
    probability = np.clip(activation.astype(np.float64), floor, 1 - floor)
    gain = np.log(probability) - np.log((1 - probability) / NON_BEAT_SPREAD)
    frames = decode_path(gain, _intervals(model), *_transitions(model))
    return frames / FRAME_RATE_HZ


@numba.njit(cache=True)
def decode_path(
    gain: NDArray[np.float64],
    intervals: NDArray[np.int64],
    log_transition: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Frames of the beats on the best path.

    Args:
        gain: (T,) log likelihood of a beat less that of no beat.
        intervals: (I,) frames between beats.
        log_transition: (I, I) log probability of going from row to column.
        rows: (I, 2) the rows worth considering for each column.

    A state's score lives in a ring of its tempo at the frame in which its beat began, modulo the interval, so
    that nothing moves as time passes.
    """
    frames, tempi = gain.shape[0], intervals.shape[0]
    offset = np.zeros(tempi + 1, np.int64)
    for i in range(tempi):
        offset[i + 1] = offset[i] + intervals[i]
    score = np.empty(offset[tempi])
    for i in range(tempi):
        score[offset[i] : offset[i + 1]] = -np.log(intervals[i])
    came_from = np.zeros((frames, tempi), np.uint8)
    leaving = np.empty(tempi)
    for t in range(frames):
        for i in range(tempi):
            leaving[i] = score[offset[i] + t % intervals[i]]
        for i in range(tempi):
            best, best_row = -1e300, 0
            for j in range(rows[i, 0], rows[i, 1]):
                candidate = leaving[j] + log_transition[j, i]
                if candidate > best:
                    best, best_row = candidate, j
            came_from[t, i] = best_row
            score[offset[i] + t % intervals[i]] = best
            for age in range(-(-intervals[i] // BEAT_REGION)):
                score[offset[i] + (t - age) % intervals[i]] += gain[t]
    final = np.argmax(score)
    tempo = np.searchsorted(offset, final, side="right") - 1
    age = (frames - 1 - (final - offset[tempo])) % intervals[tempo]
    beat = frames - 1 - age
    beats = np.empty(frames, np.int64)
    count = 0
    while beat >= 0:
        beats[count] = beat
        count += 1
        tempo = came_from[beat, tempo]
        beat -= intervals[tempo]
    return beats[:count][::-1].copy()
