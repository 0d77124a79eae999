"""Makes a pulse steady: a constant grid through the whole song, or a pulse without jumps by half a beat.

A tracker that finds the right tempo may jump between the beats and the times between them, from part to part of a
song. People do not. So the whole song gets one of two phases, `on` and `between`; `phase` decides which.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Seconds
from k1_analysis.engine.audio.levels import AudibleRange
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.beats.tempo_grid import TempoGrid

SPAN = 0.02
"""Greatest distance of the grid's period from the median interval of the pulse, as a share of it."""
ON_GRID_SHARE = 0.8
"""Share of the pulse's certain beats on the grid or half a beat from it, from which the tempo is constant."""
SURE = 2.71
"""Log odds (a probability of .5) from which a beat is certain. In a quiet part the tracker goes astray, although the
grid goes on. If most beats are uncertain, all count."""
ON_GRID_S = 0.03
"""Greatest distance of a beat from the grid in seconds; at fast tempi a twelfth of the period."""
_FEWEST_BEATS = 16
_COARSE_S, _FINE_S = 0.05, 0.01
"""Movement of the grid's end from one period to the next in the coarse and in the fine search."""
_COARSE_FRAMES = 5
_FINALISTS = 3
_LOCAL_BEATS = 8


@dataclass(frozen=True, slots=True)
class PhasePair:
    """One pulse in its two phases."""

    on: Seconds
    """Rising times in seconds; the phase that the activation, or most of the tracked beats, supports."""
    between: Seconds
    """The same pulse half a beat later."""
    constant: bool
    """The pulse is a constant grid."""


def steady_pulse(beats: Seconds, log_odds: NDArray[np.float64], audible: AudibleRange) -> PhasePair:
    """Return a pulse in its two phases: a constant grid if the beats follow one, or else without jumps.

    Args:
        beats: rising times in seconds.
        log_odds: (T,) log odds of a beat in each frame.
        audible: when the song sounds; a grid spans it.
    """
    grid = constant_grid(beats, log_odds)
    if grid is None:
        return without_jumps(beats)
    other = TempoGrid(grid.period_s, grid.start_s + grid.period_s / 2, grid.inliers)
    on, between = (each.times(audible.start_s, audible.end_s) for each in (grid, other))
    return PhasePair(on, between, constant=True)


def constant_grid(beats: Seconds, log_odds: NDArray[np.float64]) -> TempoGrid | None:
    """Return the constant grid near the tempo of the beats that collects the most log odds.

    None if fewer than ON_GRID_SHARE of the certain beats lie on it or half a beat from it: then the tempo changes.
    """
    if len(beats) < _FEWEST_BEATS:
        return None
    period, start = _best_grid(log_odds, float(np.median(np.diff(beats))))
    half = period / 2
    distance = np.abs(((beats - start) / half + 0.5) % 1 - 0.5) * half
    on_grid = distance <= min(ON_GRID_S, period / 12)
    sure = strength_at(beats, log_odds.astype(np.float32)) >= SURE
    share = float(np.mean(on_grid[sure] if 2 * np.sum(sure) >= len(beats) else on_grid))
    return TempoGrid(period, start, share) if share >= ON_GRID_SHARE else None


def without_jumps(beats: Seconds) -> PhasePair:
    """Return the beats in one phase throughout; a tracked interval of 1.5 beats counts as three halves."""
    if len(beats) < _FEWEST_BEATS:
        return PhasePair(beats, (beats[1:] + beats[:-1]) / 2, constant=False)
    intervals = np.diff(beats)
    halves = np.maximum(1, np.round(2 * intervals / _local_period(intervals))).astype(int)
    positions = np.concatenate([[0], np.cumsum(halves)])
    lattice = np.interp(np.arange(positions[-1] + 1), positions, beats)
    even, odd = lattice[::2], lattice[1::2]
    return (
        PhasePair(even, odd, constant=False)
        if 2 * np.sum(positions % 2 == 0) >= len(beats)
        else PhasePair(odd, even, constant=False)
    )


def _local_period(intervals: Seconds) -> Seconds:
    """Return (n,): the median of the intervals around each."""
    padded = np.pad(intervals, _LOCAL_BEATS, mode="reflect" if len(intervals) > _LOCAL_BEATS else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _LOCAL_BEATS + 1)
    return np.median(windows, axis=1)


def _best_grid(log_odds: NDArray[np.float64], period: float) -> tuple[float, float]:
    """Return (period, start) in seconds of the best grid within SPAN of the period: a coarse search, then a fine one."""
    length_s = len(log_odds) / FRAME_RATE_HZ
    # The coarse search may be some frames beside a beat, and so it takes the highest value nearby.
    coarse = _search(maximum_filter1d(log_odds, _COARSE_FRAMES), _periods(period, SPAN, _COARSE_S / length_s))
    reach = _COARSE_S / length_s
    fine = [
        found
        for _, near, _ in sorted(coarse, reverse=True)[:_FINALISTS]
        for found in _search(uniform_filter1d(log_odds, 3), _periods(near, reach, _FINE_S / length_s))
    ]
    _, best, start = max(fine)
    return best, start


def _periods(period: float, span: float, step: float) -> Seconds:
    """Return the periods within `span` of one, both as shares of it, that differ by `step`."""
    return period * np.linspace(1 - span, 1 + span, max(5, int(2 * span / step) + 1))


def _search(curve: NDArray[np.float64], periods: Seconds) -> list[tuple[float, float, float]]:
    """Return (sum of the curve, period, start) of the best start for each period."""
    found: list[tuple[float, float, float]] = []
    for period in periods:
        frames = period * FRAME_RATE_HZ
        starts = np.arange(0.0, frames)
        beats = np.arange(int((len(curve) - 1) / frames)) * frames
        sums = curve[(starts[:, None] + beats).astype(np.int64)].sum(axis=1)
        best = int(sums.argmax())
        found.append((float(sums[best]), float(period), float(starts[best]) / FRAME_RATE_HZ))
    return found
