"""Augments training examples: variations of a song's features, and the matching targets."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ

Floats = NDArray[np.float32]
Times = NDArray[np.float64]

_NEIGHBOURS = ((1, 0.5), (2, 0.25))
"""Targets one and two frames from a beat: a network cannot place an onset to 10 ms exactly."""
_STRETCH = 0.28
_TEMPI = (45.0, 230.0)
"""A stretched song stays between these tempi, at which people would still count the same beat."""
_SHIFT_BANDS = 3
_GAIN = 0.25
_AUDIBLE = 0.02
_WIDEST_HOLE = 14
_LOUDEST_NOISE = 0.5


@dataclass(frozen=True)
class Piece:
    """An excerpt: log spectrum (T, 82), beats in seconds from its start, positions, and a mask (T,) of known frames."""

    log_bands: Floats
    beats: Times
    positions: NDArray[np.int64]
    mask: Floats


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


def augment(piece: Piece, rng: np.random.Generator) -> Piece:
    """Change tempo, pitch, tone, gaps, bands and noise of an excerpt without rendering it again."""
    if rng.random() < 0.7:
        piece = _stretch(piece, _factor(piece.beats, rng))
    log_bands = piece.log_bands
    if rng.random() < 0.5:
        log_bands = np.roll(log_bands, int(rng.integers(-_SHIFT_BANDS, _SHIFT_BANDS + 1)), axis=1)
    if rng.random() < 0.5:
        log_bands = _tone(log_bands, rng)
    if rng.random() < 0.25:
        log_bands = _gap(log_bands, rng)
    if rng.random() < 0.3:
        log_bands = _hole(log_bands, rng)
    if rng.random() < 0.25:
        log_bands = _noise(log_bands, rng)
    return replace(piece, log_bands=log_bands)


def _factor(beats: Times, rng: np.random.Generator) -> float:
    """Return by how much to slow down, so that the tempo stays plausible."""
    factor = float(np.exp(rng.uniform(-_STRETCH, _STRETCH)))
    if len(beats) < 2:
        return factor
    bpm = 60 / float(np.median(np.diff(beats)))
    return min(max(factor, min(1.0, bpm / _TEMPI[1])), max(1.0, bpm / _TEMPI[0]))


def _stretch(piece: Piece, factor: float) -> Piece:
    """Return the features slowed down by `factor`, by linear interpolation between frames."""
    source = piece.log_bands
    at = np.arange(int(len(source) * factor)) / factor
    row = np.minimum(at.astype(int), len(source) - 2)
    part = (at - row)[:, None].astype(np.float32)
    between = source[row] * (1 - part) + source[row + 1] * part
    return Piece(between.astype(np.float32), piece.beats * factor, piece.positions, piece.mask[row])


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


def _hole(log_bands: Floats, rng: np.random.Generator) -> Floats:
    """Weaken a range of bands, because no instrument is in every song."""
    width = int(rng.integers(4, _WIDEST_HOLE + 1))
    start = int(rng.integers(0, log_bands.shape[1] - width + 1))
    out = log_bands.copy()
    out[:, start : start + width] *= np.float32(rng.uniform(0, 0.5))
    return out


def _noise(log_bands: Floats, rng: np.random.Generator) -> Floats:
    """Raise what is quieter than a noise of a random colour, relative to the loudest of the excerpt, to its level."""
    frames, bands = log_bands.shape
    colour = np.interp(np.arange(bands), np.linspace(0, bands - 1, 4), rng.uniform(0, _LOUDEST_NOISE, 4))
    level = colour * float(np.percentile(log_bands, 95))
    grain = rng.normal(1, 0.15, (frames, bands)).astype(np.float32)
    return np.maximum(log_bands, level.astype(np.float32) * grain)
