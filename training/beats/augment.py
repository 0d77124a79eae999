"""Augments training examples: variations of a song's features, and the matching targets."""

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ

Floats = NDArray[np.float32]
Times = NDArray[np.float64]

_NEIGHBOURS = ((1, 0.5), (2, 0.25))
"""Targets one and two frames from a beat: a network cannot place an onset to 10 ms exactly."""
_STRETCH = 0.15
_SHIFT_BANDS = 3
_GAIN = 0.25
_AUDIBLE = 0.02


def targets(beats: Times, positions: NDArray[np.int64], frames: int) -> Floats:
    """Return (frames, 2) between 0 and 1: beat and downbeat."""
    out = np.zeros((frames, 2), np.float32)
    centre = np.round(beats * FRAME_RATE_HZ).astype(int)
    first = positions == 1
    for distance, value in (*reversed(_NEIGHBOURS), (0, 1.0)):
        for sign in (-1, 1):
            for column, rows in ((0, centre), (1, centre[first])):
                at = rows + sign * distance
                at = at[(at >= 0) & (at < frames)]
                out[at, column] = np.maximum(out[at, column], value)
    return out


def augment(log_bands: Floats, beats: Times, rng: np.random.Generator) -> tuple[Floats, Times]:
    """Change tempo, pitch, tone and gaps of a song without rendering it again."""
    if rng.random() < 0.6:
        log_bands, beats = _stretch(log_bands, beats, float(np.exp(rng.uniform(-_STRETCH, _STRETCH))))
    if rng.random() < 0.5:
        log_bands = np.roll(log_bands, int(rng.integers(-_SHIFT_BANDS, _SHIFT_BANDS + 1)), axis=1)
    if rng.random() < 0.5:
        log_bands = _tone(log_bands, rng)
    if rng.random() < 0.3:
        log_bands = _gap(log_bands, rng)
    return log_bands, beats


def _stretch(log_bands: Floats, beats: Times, factor: float) -> tuple[Floats, Times]:
    """Return the features slowed down by `factor`, by linear interpolation between frames."""
    at = np.arange(int(len(log_bands) * factor)) / factor
    row = np.minimum(at.astype(int), len(log_bands) - 2)
    part = (at - row)[:, None].astype(np.float32)
    between = log_bands[row] * (1 - part) + log_bands[row + 1] * part
    return between.astype(np.float32), beats * factor


def _tone(log_bands: Floats, rng: np.random.Generator) -> Floats:
    bands = log_bands.shape[1]
    gain = np.interp(np.arange(bands), np.linspace(0, bands - 1, 5), rng.uniform(-_GAIN, _GAIN, 5))
    audible = log_bands > _AUDIBLE
    return np.maximum(0, log_bands + gain.astype(np.float32) * audible)


def _gap(log_bands: Floats, rng: np.random.Generator) -> Floats:
    """Make half a second to three seconds nearly silent, because the beat continues through a pause."""
    length = int(rng.uniform(0.5, 3) * FRAME_RATE_HZ)
    start = int(rng.integers(0, max(1, len(log_bands) - length)))
    out = log_bands.copy()
    out[start : start + length] *= np.float32(rng.uniform(0, 0.4))
    return out
