"""Labels a recording where the evidence is strong, and rejects it otherwise.

1. Level: the engine's pulse, its half and its double are candidates; trackers of two families, or one and the drums,
   must hold the level.
2. Grid: a constant pulse near the candidate; most of the engine's beats lie on it or on its offbeats.
3. Phase: the bars' score of the grid against that of its offbeats, with a margin; a second cue must agree, and none
   may contradict clearly.
4. Frames where the recording leaves the grid, or where the cues turn against the song's own phase, are masked.
5. Positions in the bar only where the best downbeat stands out.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.audio.tonal import Tonal, beat_means
from k1_analysis.engine.beats.refinement import attack_curve, onset_curve, refine
from k1_analysis.engine.beats.tempo_grid import TempoGrid, fit_grid
from k1_analysis.engine.structure.bars import find_bars
from training.beats.teacher.cues import (
    BEATS_PER_BAR,
    fit_to_activation,
    fold_drums,
    grid_times,
    log_odds,
    offbeat,
    share_on_either_phase,
)
from training.beats.teacher.evidence import Evidence
from training.beats.teacher.level import SAME_PERIOD, choose_period, contradicts
from training.beats.teacher.phase import CLEAR, phase_cues

INLIERS = 0.8
"""Share of the engine's beats that must lie on the grid or its offbeats."""
MIN_BEATS = 32
WINDOW_BEATS = 16
LEAVES_GRID_S = 0.035
SAME_BAR = 0.9
"""Share of the bars that must begin at the same beat in four."""
DOWNBEAT_MARGIN = 4.0
"""Standard errors by which the best downbeat must beat the next."""

Reason = Literal["no pulse", "level", "moves", "phase", "drums contradict", "too little"]


@dataclass(frozen=True)
class Label:
    """The beats of one excerpt of T frames."""

    beats: Seconds
    positions: NDArray[np.int64]
    """Position in the bar, from 1; all 0 if unknown."""
    mask: NDArray[np.bool_]
    """(T,) True where the beats are known."""
    figures: dict[str, float]
    """What the decision was based on, for the report."""


@dataclass(frozen=True)
class Rejected:
    """The evidence is not strong enough."""

    reason: Reason
    figures: dict[str, float]


def label(song: Evidence) -> Label | Rejected:
    """Return the beats, or why there are none."""
    if len(song.pulse) < MIN_BEATS:
        return Rejected("no pulse", {})
    period = choose_period(song)
    if period is None:
        return Rejected("level", {"bpm": 60 / float(np.median(np.diff(song.pulse)))})
    grid = fit_to_activation(song.activation[:, 0], period)
    figures = {"bpm": 60 / grid.period_s, "inliers": _inliers(song.pulse, grid)}
    if figures["inliers"] < INLIERS:
        return Rejected("moves", figures)
    cues = phase_cues(song, grid)
    figures |= asdict(cues)
    side = cues.decide()
    if not side:
        return Rejected("phase", figures)
    return _label_grid(song, grid if side > 0 else offbeat(grid), figures)


def _label_grid(song: Evidence, grid: TempoGrid, figures: dict[str, float]) -> Label | Rejected:
    """Return the label of a song whose level and phase are decided, unless the drums contradict."""
    beats = _settle(song, grid)
    drums = fold_drums(song.features.onsets, beats)
    figures |= asdict(drums)
    if contradicts(drums, 60 / grid.period_s):
        return Rejected("drums contradict", figures)
    mask = known_frames(song, beats)
    figures["known"] = float(mask.mean())
    if mask.sum() < MIN_BEATS * grid.period_s * FRAME_RATE_HZ:
        return Rejected("too little", figures)
    positions, figures["downbeat"] = find_positions(song, beats)
    return Label(beats, positions, mask, figures)


def _inliers(pulse: Seconds, grid: TempoGrid) -> float:
    """Return the share of the pulse on the grid, its offbeats or, if the pulse is faster, half of those."""
    faster = TempoGrid(grid.period_s / 2, grid.start_s, 0.0)
    return share_on_either_phase(pulse, faster if np.median(np.diff(pulse)) < 0.75 * grid.period_s else grid)


def _settle(song: Evidence, grid: TempoGrid) -> Seconds:
    """Return the beats of the grid, moved as one line to the starts of the sounds at them."""
    beats = grid_times(grid, len(song.activation) / FRAME_RATE_HZ)
    curve, attacks = onset_curve(song.features.onsets), attack_curve(song.features.attack)
    line = fit_grid(refine(beats, song.activation[:, 0], curve, attacks))
    if line is None or abs(line.period_s / grid.period_s - 1) > SAME_PERIOD:
        return beats
    return grid_times(line, len(song.activation) / FRAME_RATE_HZ)


def known_frames(song: Evidence, beats: Seconds) -> NDArray[np.bool_]:
    """Return (T,): where the sound keeps to the grid and the cues do not turn against the song's own phase.

    In each window of WINDOW_BEATS the onsets, folded over a quarter of a beat, must be centred on the grid; a window
    without onsets is unknown. If most windows prefer one phase by activation, the clear exceptions are unknown.
    """
    mask = np.zeros(len(song.activation), bool)
    curve, odds = onset_curve(song.features.onsets), log_odds(song.activation[:, 0]).astype(np.float32)
    period = float(np.median(np.diff(beats)))
    loud = float(np.percentile(curve, 90))
    spans: list[slice] = []
    keeps: list[bool] = []
    preferences: list[float] = []
    for first in range(0, len(beats) - WINDOW_BEATS // 2, WINDOW_BEATS // 2):
        part = beats[first : first + WINDOW_BEATS]
        loud_enough = float(strength_at(part, curve).mean()) >= loud / 4
        edges = np.round(np.array([part[0] - period / 2, part[-1] + period / 2]) * FRAME_RATE_HZ).astype(int)
        spans.append(slice(max(0, int(edges[0])), int(edges[1])))
        keeps.append(loud_enough and abs(_lag(curve, part, period)) <= LEAVES_GRID_S)
        preferences.append(
            float(strength_at(part, odds).mean() - strength_at(part + period / 2, odds).mean())
        )
    usual = float(np.median(preferences)) if preferences else 0.0
    turned = np.array(preferences) * np.sign(usual) < -CLEAR["activation"]
    if abs(usual) < CLEAR["activation"]:
        turned[:] = False
    known = np.array(keeps, bool) & ~turned
    for value in (True, False):  # the unknown ones last: where windows overlap, they win
        for index in np.flatnonzero(known == value):
            mask[spans[index]] = value
    return mask


def _lag(curve: Floats, beats: Seconds, period_s: float) -> float:
    """Return the seconds by which the sounds lie after the nearest half beat, on average, from their circular mean."""
    half = period_s / 2
    first, last = (int(beats[0] * FRAME_RATE_HZ), int(beats[-1] * FRAME_RATE_HZ) + 1)
    weights = np.maximum(curve[first:last], 0).astype(np.float64) ** 2
    angle = (np.arange(first, first + len(weights)) / FRAME_RATE_HZ - beats[0]) / half * 2 * np.pi
    return float(np.angle(np.sum(weights * np.exp(1j * angle))) / (2 * np.pi) * half)


def find_positions(song: Evidence, beats: Seconds) -> tuple[NDArray[np.int64], float]:
    """Return (n,) positions in a bar of four, or zeros, and the margin of the best downbeat in standard errors.

    The engine's bars must be four beats long and begin at the same beat in at least nine of ten; and the harmony and
    the network's downbeat output, summed, must prefer that beat.
    """
    nothing = np.zeros(len(beats), np.int64)
    bars = find_bars(beats, song.features, song.tonal, song.activation[:, 1])
    first = np.flatnonzero(bars.is_downbeat) % BEATS_PER_BAR
    if bars.beats_per_bar != BEATS_PER_BAR or not len(first):
        return nothing, 0.0
    usual = int(np.bincount(first).argmax())
    clues = downbeat_clues(song.tonal, song.activation[:, 1], beats)
    rows = clues[: len(clues) // BEATS_PER_BAR * BEATS_PER_BAR].reshape(-1, BEATS_PER_BAR)
    best, second = np.argsort(rows.mean(axis=0))[::-1][:2]
    gap = rows[:, best] - rows[:, second]
    margin = float(gap.mean() / (gap.std() / np.sqrt(len(gap)) + 1e-9))
    if int(best) != usual or np.mean(first == usual) < SAME_BAR or margin < DOWNBEAT_MARGIN:
        return nothing, margin
    return (np.arange(len(beats)) - usual) % BEATS_PER_BAR + 1, margin


def downbeat_clues(tonal: Tonal, downbeat_activation: Floats, beats: Seconds) -> Seconds:
    """Return (n,): change of harmony at each beat and log odds of a downbeat, each standardised, summed."""
    chroma = beat_means(tonal.chroma + tonal.bass_chroma, beats).astype(np.float64)
    chroma /= np.linalg.norm(chroma, axis=1, keepdims=True) + 1e-9
    change = np.concatenate([[0.0], 1 - (chroma[1:] * chroma[:-1]).sum(axis=1)])
    odds = log_odds(strength_at(beats, downbeat_activation))
    return sum(((each - each.mean()) / (each.std() + 1e-9) for each in (change, odds)), np.zeros(len(beats)))
