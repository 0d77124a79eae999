"""Cues that say whether a pulse is the beat: pure functions of the evidence and of beat times in seconds.

A grid is a constant pulse. Its two phases are the grid and the times half a period later.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.times import nearest, strength_at
from k1_analysis.engine.beats.tempo_grid import TempoGrid

SPAN = 0.02
"""The period is searched within this share of the pulse's median."""
END_STEP_S = 0.012
"""Two periods that are tried next to each other move the last beat by this much."""
NEAR_S = 0.03
BEATS_PER_BAR = 4
_GAIN_FLOOR = 1e-3
_NON_BEAT_SPREAD = 15
"""A beat lasts about one frame in 15: the prior odds, as in the engine's decoder."""


def log_odds(activation: Floats) -> Seconds:
    """Return (T,): the log odds of a beat against none, clipped."""
    probability = np.clip(activation.astype(np.float64), _GAIN_FLOOR, 1 - _GAIN_FLOOR)
    return np.log(probability) - np.log((1 - probability) / _NON_BEAT_SPREAD)


def fit_to_activation(activation: Floats, period_s: float) -> TempoGrid:
    """Return the grid within SPAN of `period_s` that collects most log odds; its share of inliers is not set.

    Args:
        activation: (T,) probability of a beat; longer than two periods.
        period_s: the median period of the pulse.
    """
    frames = len(activation)
    smooth = np.convolve(log_odds(activation), np.ones(3) / 3, "same")
    count = max(5, int(2 * SPAN * frames / FRAME_RATE_HZ / END_STEP_S))
    best = (-np.inf, period_s, 0.0)
    for period in np.linspace(period_s * (1 - SPAN), period_s * (1 + SPAN), count).tolist():
        step = period * FRAME_RATE_HZ
        starts = np.arange(0.0, step, 1.0)
        beats = np.arange(int((frames - 1) / step))
        sums = smooth[(starts[:, None] + beats * step).astype(int)].sum(axis=1)
        first = int(sums.argmax())
        best = max(best, (float(sums[first]), period, first / FRAME_RATE_HZ))
    return TempoGrid(best[1], best[2], inliers=0.0)


def grid_times(grid: TempoGrid, duration_s: float) -> Seconds:
    """Return the times of the grid from 0 to before `duration_s`."""
    start_s = grid.start_s % grid.period_s
    count = int((duration_s - 1e-6 - start_s) / grid.period_s) + 1
    return start_s + grid.period_s * np.arange(count, dtype=np.float64)


def offbeat(grid: TempoGrid) -> TempoGrid:
    """Return the grid half a period later."""
    return TempoGrid(grid.period_s, grid.start_s + grid.period_s / 2, grid.inliers)


def share_on_either_phase(beats: Seconds, grid: TempoGrid) -> float:
    """Return the share of `beats` within min(NEAR_S, a twelfth of the period) of the grid or of its offbeats."""
    half = grid.period_s / 2
    error = np.abs(((beats - grid.start_s) / half + 0.5) % 1 - 0.5) * half
    return float(np.mean(error <= min(NEAR_S, grid.period_s / 12))) if len(beats) else 0.0


def share_near(beats: Seconds, times: Seconds) -> float:
    """Return the share of `times` that have one of `beats` within 2 * NEAR_S; 0 without any."""
    if not len(beats) or not len(times):
        return 0.0
    return float(np.mean(np.abs(beats[nearest(beats, times)] - times) <= 2 * NEAR_S))


def contrast(onset: Floats, at: Seconds, between: Seconds) -> float:
    """Return the natural log of the mean of `onset` at one set of times over that at the other."""
    floor = float(onset.mean()) / 10 + 1e-9
    here, there = (float(strength_at(times, onset, 2).mean()) + floor for times in (at, between))
    return float(np.log(here / there))


@dataclass(frozen=True)
class Drums:
    """Kick and snare folded over two beats; each a log ratio."""

    kick_alternates: float
    """Kick at the beats with more kick, over that at the others."""
    snare_alternates: float
    """Snare at the beats with less kick, over that at those with more: positive in a backbeat."""
    kick_at_beats: float
    """Kick at the beats over that between them."""
    snare_at_beats: float
    silence_between: float
    """The least of kick and snare at the beats over those at the halves, and over those at the last thirds: high if
    no sound divides the beat, evenly or swung."""
    even_has_kick: bool
    """The even beats have more kick than the odd ones."""


def fold_drums(onsets: Floats, beats: Seconds) -> Drums:
    """Return how kick and snare lie on the beats.

    Args:
        onsets: (T, 4) onset functions; the first is the kick's band, the third the snare's.
        beats: four or more rising times in seconds.
    """
    kick, snare = onsets[:, 0], onsets[:, 2] + onsets[:, 3]
    even, odd = beats[::2], beats[1::2]
    between = (beats[1:] + beats[:-1]) / 2
    thirds = beats[:-1] + 2 * np.diff(beats) / 3
    kick_even = contrast(kick, even, odd)
    snare_odd = contrast(snare, odd, even)
    even_has_kick = kick_even >= 0
    return Drums(
        abs(kick_even),
        snare_odd if even_has_kick else -snare_odd,
        contrast(kick, beats, between),
        contrast(snare, beats, between),
        min(contrast(band, beats, times) for band in (kick, snare) for times in (between, thirds)),
        even_has_kick,
    )


def fold(onsets: Floats, beats: Seconds, first_downbeat: int, steps: int = 48) -> NDArray[np.float64]:
    """Return (steps, 4): the mean of each onset band over a bar of four beats, to look at.

    Args:
        onsets: (T, 4) onset functions, 100 a second.
        beats: rising times in seconds.
        first_downbeat: index of the first beat of the first bar.
        steps: points a bar.
    """
    bars = (len(beats) - 1 - first_downbeat) // BEATS_PER_BAR
    where = first_downbeat + np.arange(bars * steps) * BEATS_PER_BAR / steps
    times = np.interp(where, np.arange(len(beats)), beats)
    values = onsets[np.round(times * FRAME_RATE_HZ).astype(int).clip(0, len(onsets) - 1)]
    return values.reshape(bars, steps, onsets.shape[1]).mean(axis=0)
