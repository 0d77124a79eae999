"""Other readings of the beats: half tempo, double tempo, the offbeats and one beat a bar, each with a score."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.levels import Sounding
from k1_analysis.engine.audio.times import nearest, strength_at

AlternativeKind = Literal["half", "double", "offbeat", "other"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another reading of the same pulse. `score` is comparable with the main reading's, 0..1."""

    kind: AlternativeKind
    beats: Seconds
    score: float


def doubled(beats: Seconds) -> Seconds:
    """The beats and the middle of each interval."""
    return np.interp(np.arange(0, len(beats) - 0.5, 0.5), np.arange(len(beats)), beats)


def reading_score(beats: Seconds, activation: Floats) -> float:
    """0..1: harmonic mean of the activation at the beats and the share of the activation they explain."""
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


def readings(beats: Seconds) -> list[tuple[AlternativeKind, Seconds]]:
    """Return half tempo (both phases), double tempo and the offbeats; nothing of fewer than four beats."""
    if len(beats) < 4:  # noqa: PLR2004  half of it must still be a pulse
        return []
    double = doubled(beats)
    return [("half", beats[::2]), ("half", beats[1::2]), ("double", double), ("offbeat", double[1::2])]


def alternatives(
    beats: Seconds, activation: Floats, sounding: Sounding, bar_lines: Seconds | None = None
) -> list[Alternative]:
    """The other readings of the beats, each scored on the activation.

    Args:
        beats: rising times in seconds.
        activation: (T,) probability of a beat in each frame.
        sounding: when the song sounds; no reading has beats in its silences.
        bar_lines: of a song whose bars may be felt as one beat each: a fast three, which sounds the same
            whether it is written in 3/4 or in 6/8.
    """
    found = readings(beats)
    if found and bar_lines is not None:
        found.append(("other", bar_lines))
    kept = [Alternative(kind, times[sounding.covers(times)], 0.0) for kind, times in found]
    return [replace(other, score=reading_score(other.beats, activation)) for other in kept]
