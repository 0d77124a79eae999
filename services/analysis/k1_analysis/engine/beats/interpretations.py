"""Derives other interpretations from beats: half tempo, double tempo, the offbeats; scores how well beats fit a song."""

from typing import Literal

import numpy as np

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.times import nearest, strength_at
from k1_analysis.engine.beats.tempo import tempo
from k1_analysis.engine.presets import Preset

AlternativeKind = Literal["half", "double", "offbeat", "other"]
FEWEST_BEATS = 4
"""Half of them must still be a pulse."""


def divide(beats: Seconds, parts: int) -> Seconds:
    """Return the beats and the times that divide each interval into equal parts."""
    if not len(beats):
        return beats
    return np.interp(np.arange(0, len(beats) - 1 + 1e-9, 1 / parts), np.arange(len(beats)), beats)


def double_beats(beats: Seconds) -> Seconds:
    """Return the beats and the middle of each interval."""
    return divide(beats, 2)


def interpretation_score(beats: Seconds, activation: Floats) -> float:
    """Return 0..1: harmonic mean of the activation at the beats and the share of all activation near them."""
    if not len(beats):
        return 0.0
    precision = float(strength_at(beats, activation).mean())
    frames = np.flatnonzero(activation > 0.05)  # noqa: PLR2004  the network's noise floor
    total = float(activation[frames].sum())
    if not len(frames) or total <= 0:
        return 0.0
    times = frames / FRAME_RATE_HZ
    explained = np.abs(times - beats[nearest(beats, times)]) <= 0.035  # noqa: PLR2004  three frames
    recall = float(activation[frames][explained].sum()) / total
    return 2 * precision * recall / max(1e-9, precision + recall)


def interpretations(beats: Seconds) -> list[tuple[AlternativeKind, Seconds]]:
    """Return half tempo (both phases), double tempo and the offbeats; nothing for fewer than four beats."""
    if len(beats) < FEWEST_BEATS:
        return []
    double = double_beats(beats)
    return [("half", beats[::2]), ("half", beats[1::2]), ("double", double), ("offbeat", double[1::2])]


def at_expected_level(beats: Seconds, activation: Floats, preset: Preset | None) -> Seconds:
    """Return the beats, or their half or double if only that fits the preset's tempo range."""
    if preset is None or _fits(beats, preset):
        return beats
    fitting = [
        times for kind, times in interpretations(beats) if kind in {"half", "double"} and _fits(times, preset)
    ]
    return max(fitting, key=lambda times: interpretation_score(times, activation), default=beats)


def _fits(beats: Seconds, preset: Preset) -> bool:
    low, high = preset.tempo_bpm
    return low <= tempo(beats) <= high
