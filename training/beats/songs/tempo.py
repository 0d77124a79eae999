"""Tempo maps: from a beat's number to its time, and swing inside the beat."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

TempoKind = Literal["const", "drift", "step", "ramp", "rubato"]
TEMPO_KINDS: tuple[TempoKind, ...] = get_args(TempoKind)

_SPARE_BEATS = 16
"""Beats kept beyond the last bar, so that held notes and tails have a time too."""

_OFF_BEAT = (0.42, 0.72)
_FEWEST_OFF_BEATS = 8
_CLEAR_SWING, _HARDEST_SWING = 0.56, 0.7


@dataclass(frozen=True)
class TempoMap:
    """Times of beats 0, 1, 2, ... in seconds, with linear time between two beats."""

    kind: TempoKind
    times: NDArray[np.float64]

    def seconds(self, beat: float) -> float:
        """Return the time of a possibly fractional beat number."""
        return float(np.interp(beat, np.arange(len(self.times)), self.times))


def tempo_map(kind: TempoKind, bpm: float, beats: int, start: float, rng: np.random.Generator) -> TempoMap:
    """Draw a tempo map.

    Args:
        kind: `const` is a sequencer's grid; `drift` a band without a click (a smooth random walk of .3-3 %);
            `step` one sudden change of tempo; `ramp` a steady accelerando or ritardando; `rubato` a phrase-wise
            swell with a ritardando in the last two beats of each phrase.
        bpm: tempo at the start, beats a minute.
        beats: number of annotated beats.
        start: time of beat 0 in seconds.
        rng: the song's random numbers.
    """
    n = beats + _SPARE_BEATS
    x = np.arange(n)
    if kind == "const":
        tempi = np.full(n, bpm)
    elif kind == "drift":
        tempi = bpm * (1 + rng.uniform(0.003, 0.03) * _smooth_walk(n, rng))
    elif kind == "step":
        at = int(beats * rng.uniform(0.35, 0.65))
        tempi = np.where(x < at, bpm, bpm * rng.uniform(0.78, 1.3))
    elif kind == "ramp":
        tempi = bpm * np.linspace(1, rng.uniform(0.78, 1.3), n)
    else:
        phrase = int(rng.choice([8, 12, 16]))
        depth = rng.uniform(0.02, 0.08)
        swell = np.sin(2 * np.pi * x / phrase)
        late = (x % phrase) >= phrase - 2
        tempi = bpm * (1 + depth * swell - 0.8 * depth * late + rng.normal(0, 0.01, n))
    return TempoMap(kind, start + np.concatenate([[0.0], np.cumsum(60 / tempi)]))


def _smooth_walk(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random walk without its fast part, scaled to -1..1."""
    walk = np.convolve(np.cumsum(rng.normal(0, 1, n)), np.ones(16) / 16, "same")
    walk -= np.linspace(walk[0], walk[-1], n)
    return walk / max(1e-9, float(np.abs(walk).max()))


def swing(beat: float, ratio: float, unit: float) -> float:
    """Move the second of each pair of `unit`-long steps late.

    Args:
        beat: position in beats.
        ratio: share of the pair that the first step takes: .5 is straight, .667 a triplet shuffle.
        unit: length of one step in beats: .5 swings eighths, .25 sixteenths.
    """
    pair = 2 * unit
    whole, part = divmod(beat, pair)
    part /= pair
    warped = part * 2 * ratio if part < 0.5 else ratio + (part - 0.5) * 2 * (1 - ratio)
    return (whole + warped) * pair


def unswing(beat: float, ratio: float, unit: float) -> float:
    """Return the written position of a beat that swing moved: the inverse of `swing`."""
    pair = 2 * unit
    whole, part = divmod(beat, pair)
    part /= pair
    even = part / (2 * ratio) if part < ratio else 0.5 + (part - ratio) / (2 * (1 - ratio))
    return (whole + even) * pair


def swing_ratio(beats: NDArray[np.float64]) -> float:
    """Return the share of a beat before its off-beat, from played positions in beats; .5 unless they clearly swing."""
    part = beats % 1
    off = part[(part > _OFF_BEAT[0]) & (part < _OFF_BEAT[1])]
    if len(off) < _FEWEST_OFF_BEATS:
        return 0.5
    ratio = float(np.median(off))
    return min(ratio, _HARDEST_SWING) if ratio > _CLEAR_SWING else 0.5
