"""Decodes beats from a beat activation: the bar-pointer model and Viterbi's algorithm.

Model: Krebs, Böck and Widmer, "An efficient state-space model for joint tempo and meter tracking", ISMIR
2015, without bars. A state is (interval between beats, frames since the last beat); the interval may change
at beats only. A path's score is relative to the score without any beat: it changes inside beat regions only, so that a
path is determined by its tempo and the frame of its last beat.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds

BEAT_REGION = 16
"""A beat takes the first 1/BEAT_REGION of its interval."""
NON_BEAT_SPREAD = 15.0
"""Factor by which the probability of no beat is spread over the rest of the interval."""
_LARGEST_STEP = 0.25
"""Tempo changes beyond this ratio from one beat to the next are not considered."""


@dataclass(frozen=True, slots=True)
class TempoModel:
    """The tempi that the decoder considers, and the cost of a change between them."""

    lowest_bpm: float
    highest_bpm: float
    inertia: float
    """A change of interval by the ratio r costs inertia * |r - 1| in log probability."""
    tempi: int = 90


@cache
def _intervals(model: TempoModel) -> NDArray[np.int64]:
    """Return the frames between beats, rising, about evenly spread in log tempo."""
    shortest, longest = (60 * FRAME_RATE_HZ / bpm for bpm in (model.highest_bpm, model.lowest_bpm))
    return np.unique(np.round(np.geomspace(shortest, longest, model.tempi)).astype(np.int64))


@cache
def _transitions(model: TempoModel) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return ((I, I) log probability from row to column, (I, 2) first and one past the last row to consider)."""
    intervals = _intervals(model)
    change = np.abs(intervals[None, :] / intervals[:, None] - 1)
    weight = np.exp(-model.inertia * change)
    log_probability = np.log(np.maximum(weight / weight.sum(axis=1, keepdims=True), 1e-300))
    near = change <= _LARGEST_STEP
    rows = np.stack([near.argmax(axis=0), len(intervals) - near[::-1].argmax(axis=0)], axis=1)
    return log_probability, rows.astype(np.int64)


def track_beats(activation: Floats, model: TempoModel, floor: float = 1e-3) -> Seconds:
    """Return the most probable beat times in seconds.

    Args:
        activation: (T,) probability of a beat in each frame, 0..1.
        model: tempi and inertia.
        floor: probabilities are clipped to floor..1 - floor.
    """
    if len(activation) == 0:
        return np.empty(0)
    frames = decode_path(log_odds(activation, floor), _intervals(model), *_transitions(model))
    return frames / FRAME_RATE_HZ


def log_odds(activation: Floats, floor: float = 1e-3) -> NDArray[np.float64]:
    """Return (T,): the log likelihood of a beat less that of no beat in each frame; `floor` as in `track_beats`."""
    probability = np.clip(activation.astype(np.float64), floor, 1 - floor)
    return np.log(probability) - np.log((1 - probability) / NON_BEAT_SPREAD)


def decode_path(
    gain: NDArray[np.float64],
    intervals: NDArray[np.int64],
    log_transition: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the frames of the beats on the best path.

    The next beat is at least `intervals[0]` frames later, so the beats within that many frames do not depend on each
    other: they are scored as one block of arrays.

    Args:
        gain: (T,) log likelihood of a beat less that of no beat.
        intervals: (I,) frames between beats, rising.
        log_transition: (I, I) log probability of going from row to column.
        rows: (I, 2) the rows to consider for each column.
    """
    frames, longest, block = len(gain), int(intervals[-1]), int(intervals[0])
    regions = -(-intervals // BEAT_REGION)
    # Frame t is at t + longest: paths may begin before the song, and a block extends beyond its end.
    padded = np.concatenate([np.zeros(longest), gain, np.zeros(int(regions[-1]) + block)])
    band = rows[:, :1] + np.arange((rows[:, 1] - rows[:, 0]).max())
    columns = np.arange(len(intervals))
    weight = log_transition[np.minimum(band, len(intervals) - 1), columns[:, None]]
    weight[band >= rows[:, 1:]] = -np.inf
    band = np.minimum(band, len(intervals) - 1)

    # (longest, I): the scores of the paths by the frame in which their last beat began, the newest below.
    score = np.tile(-np.log(intervals), (longest, 1))
    _add_gains(score, padded, regions)
    leaving_row = np.arange(block)[:, None] + longest - intervals
    came_from = np.empty((frames, len(intervals)), np.uint8)
    for begin in range(0, frames, block):
        count = min(block, frames - begin)
        candidates = score[leaving_row[:count], columns][:, band] + weight
        chosen = candidates.argmax(axis=2)
        came_from[begin : begin + count] = chosen + rows[:, 0]
        entered = np.take_along_axis(candidates, chosen[:, :, None], axis=2)[:, :, 0]
        _add_gains(entered, padded[begin + longest :], regions)
        score = np.concatenate([score[count:], entered])
    return _trace_back(score, intervals, came_from)


def _add_gains(score: NDArray[np.float64], gain: NDArray[np.float64], regions: NDArray[np.int64]) -> None:
    """Add to `score[b, i]` the gains of the `regions[i]` frames from b on, in the order of time."""
    for age in range(int(regions[-1])):
        score[:, np.searchsorted(regions, age, side="right") :] += gain[age : age + len(score), None]


def _trace_back(
    score: NDArray[np.float64], intervals: NDArray[np.int64], came_from: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Return the beats of the path with the best end, in order.

    Args:
        score: (L, I) by the frame of the last beat; the last row is that of the last frame.
        intervals: (I,) frames between beats.
        came_from: (T, I) the tempo before the beat, by the beat's frame and the tempo after it.
    """
    frames, age = len(came_from), np.arange(len(score))[::-1, None]
    open_paths = np.where(age < intervals, score, -np.inf)
    row, tempo = np.unravel_index(open_paths.argmax(), open_paths.shape)
    beat = frames - len(score) + int(row)
    beats: list[int] = []
    while beat >= 0:
        beats.append(beat)
        tempo = came_from[beat, tempo]
        beat -= int(intervals[tempo])
    return np.array(beats[::-1], np.int64)
