"""Frame-wise features from one short-time Fourier transform.

Window 2048, hop 441 at 44.1 kHz: 100 frames a second. The log spectrum feeds the learned activation, its
half-wave rectified difference is the onset function (SuperFlux: Böck and Widmer, DAFx 2013), and the same
magnitudes give the envelopes and the shape of the spectrum.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.fft
from scipy.ndimage import maximum_filter1d

from k1_analysis.engine.framing import (
    FRAME_RATE_HZ,
    HOP,
    SAMPLE_RATE_HZ,
    WINDOW,
    Floats,
    frame_count,
    frames,
)

BANDS_PER_OCTAVE = 12
LOWEST_HZ = 30.0
HIGHEST_HZ = 16_000.0
COMPRESSION = 10.0
"""The log spectrum is log10(1 + COMPRESSION * magnitude)."""

ENVELOPE_BANDS_HZ = ((20.0, 250.0), (250.0, 4000.0), (4000.0, 16_000.0))
"""Bass, mids and highs of the Genesis map."""
ONSET_BANDS_HZ = ((0.0, 120.0), (120.0, 500.0), (500.0, 3000.0), (3000.0, 20_000.0))
"""Bands of the onset function: kick, bass, voice and snare, cymbals."""
ENVELOPE_RATE_HZ = 20
FRAMES_PER_POINT = FRAME_RATE_HZ // ENVELOPE_RATE_HZ
ROLLOFF_SHARE = 0.85
_BLOCK = 1000
_SUPERFLUX_LAG = 2
_EPSILON = 1e-10


@dataclass(frozen=True, slots=True)
class Filterbank:
    """Triangular filters a semitone apart, each with unit area."""

    weights: Floats
    """(WINDOW // 2 + 1, bands)"""
    centres_hz: Floats
    """(bands,)"""

    def select(self, low_hz: float, high_hz: float) -> slice:
        """The bands whose centre lies in [low_hz, high_hz)."""
        first, last = np.searchsorted(self.centres_hz, (low_hz, high_hz))
        return slice(int(first), int(last))


@cache
def filterbank() -> Filterbank:
    """The 82 bands that the shipped network was trained on: changing them means training again."""
    octaves = np.log2(HIGHEST_HZ / LOWEST_HZ)
    edges_hz = LOWEST_HZ * 2 ** (np.arange(int(np.ceil(octaves * BANDS_PER_OCTAVE)) + 2) / BANDS_PER_OCTAVE)
    bins = np.unique(np.round(edges_hz * WINDOW / SAMPLE_RATE_HZ).astype(int))
    weights = np.zeros((WINDOW // 2 + 1, len(bins) - 2), np.float32)
    for band, (low, centre, high) in enumerate(zip(bins[:-2], bins[1:-1], bins[2:], strict=True)):
        weights[low : centre + 1, band] = np.linspace(0, 1, centre - low + 1)
        weights[centre : high + 1, band] = np.linspace(1, 0, high - centre + 1)
    weights /= weights.sum(axis=0)
    return Filterbank(weights, (bins[1:-1] * SAMPLE_RATE_HZ / WINDOW).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Features:
    """Features of one song of T frames and P = ceil(T / FRAMES_PER_POINT) envelope points."""

    log_bands: Floats
    """(T, 82) log spectrum."""
    onsets: Floats
    """(T, 4) SuperFlux in ONSET_BANDS_HZ, >= 0."""
    envelopes: Floats
    """(P, 3) root of the mean power in ENVELOPE_BANDS_HZ: 1.0 is a full-scale square wave."""
    rms: Floats
    """(P,) of the samples, 0..1."""
    peak: Floats
    """(P,) greatest absolute sample around each point."""
    centroid_hz: Floats
    """(P,)"""
    flatness: Floats
    """(P,) geometric over arithmetic mean of the power, 0..1: noise is near 1."""
    rolloff_hz: Floats
    """(P,) below which ROLLOFF_SHARE of the power lies."""
    flux: Floats
    """(P,) mean of the SuperFlux over all bands."""


def log_spectrogram(samples: Floats) -> Floats:
    """(T, 82) float32: log10(1 + 10 * filtered magnitude) of mono samples at 44.1 kHz."""
    bank = filterbank()
    out = np.empty((frame_count(len(samples), HOP), bank.weights.shape[1]), np.float32)
    for first, magnitude, _ in _spectra(samples):
        out[first : first + len(magnitude)] = _compress(magnitude @ bank.weights)
    return out


def superflux(log_bands: Floats, max_bands: int = 3) -> Floats:
    """(T, bands) >= 0: rise over two frames ago, after a maximum filter that forgives vibrato."""
    rise = np.zeros_like(log_bands)
    before = maximum_filter1d(log_bands[:-_SUPERFLUX_LAG], max_bands, axis=1)
    np.maximum(log_bands[_SUPERFLUX_LAG:] - before, 0, out=rise[_SUPERFLUX_LAG:])
    return rise


def onset_bands(rise: Floats) -> Floats:
    """(T, 4): the mean of `superflux` over each of ONSET_BANDS_HZ."""
    bank = filterbank()
    return np.stack([rise[:, bank.select(*band)].mean(axis=1) for band in ONSET_BANDS_HZ], axis=1)


def extract(samples: Floats) -> Features:
    """Every feature of `samples` (mono float32 at 44.1 kHz, finite) in one pass of constant memory."""
    bank = filterbank()
    total = frame_count(len(samples), HOP)
    points = -(-total // FRAMES_PER_POINT)
    log_bands = np.empty((total, bank.weights.shape[1]), np.float32)
    level = np.zeros((points, 5), np.float32)
    shape = np.zeros((points, 3), np.float32)
    for first, magnitude, windows in _spectra(samples):
        log_bands[first : first + len(magnitude)] = _compress(magnitude @ bank.weights)
        point = slice(first // FRAMES_PER_POINT, -(-(first + len(magnitude)) // FRAMES_PER_POINT))
        level[point] = _levels(magnitude, windows)
        shape[point] = _shape(magnitude[::FRAMES_PER_POINT])
    rise = superflux(log_bands)
    return Features(
        log_bands=log_bands,
        onsets=onset_bands(rise),
        envelopes=level[:, :3],
        rms=level[:, 3],
        peak=level[:, 4],
        centroid_hz=shape[:, 0],
        flatness=shape[:, 1],
        rolloff_hz=shape[:, 2],
        flux=_point_means(rise.mean(axis=1)),
    )


@cache
def _window() -> Floats:
    return np.hanning(WINDOW).astype(np.float32)


def _spectra(samples: Floats):  # noqa: ANN202  a private generator of (first frame, magnitudes, windows)
    window = _window()
    for first, block in frames(samples, WINDOW, HOP, _BLOCK):
        spectrum = scipy.fft.rfft(block * window, axis=1)
        yield first, np.abs(np.asarray(spectrum)), block


def _compress(magnitude: Floats) -> Floats:
    return np.log10(1 + COMPRESSION * magnitude)


def _point_means(values: Floats) -> Floats:
    """Means over FRAMES_PER_POINT frames; the last point may cover fewer."""
    starts = np.arange(0, len(values), FRAMES_PER_POINT)
    counts = np.diff(np.append(starts, len(values)))
    sums = np.add.reduceat(values, starts, axis=0)
    return sums / counts.reshape(-1, *([1] * (values.ndim - 1))).astype(np.float32)


def _levels(magnitude: Floats, windows: Floats) -> Floats:
    """(points, 5): three band levels, RMS and peak of the hop-sized centre of each window."""
    frequencies = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE_HZ)
    power = np.empty((len(magnitude), 4), np.float32)
    # Parseval for a one-sided spectrum of a windowed frame.
    scale = 2 / (WINDOW * float((_window() ** 2).sum()))
    for column, (low, high) in enumerate(ENVELOPE_BANDS_HZ):
        first, last = np.searchsorted(frequencies, (low, high))
        band = magnitude[:, first:last]
        power[:, column] = scale * np.einsum("ij,ij->i", band, band)
    centre = windows[:, (WINDOW - HOP) // 2 : (WINDOW + HOP) // 2]
    power[:, 3] = np.einsum("ij,ij->i", centre, centre) / centre.shape[1]
    starts = np.arange(0, len(magnitude), FRAMES_PER_POINT)
    peaks = np.maximum.reduceat(np.abs(centre).max(axis=1), starts)
    return np.column_stack([np.sqrt(_point_means(power)), peaks]).astype(np.float32)


def _shape(magnitude: Floats) -> Floats:
    """(frames, 3): centroid in Hz, flatness and roll-off in Hz; zeros where there is no sound."""
    power = magnitude**2
    total = power.sum(axis=1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE_HZ).astype(np.float32)
    safe = np.maximum(total, _EPSILON)
    centroid = (magnitude @ frequencies) / np.maximum(magnitude.sum(axis=1), _EPSILON)
    arithmetic = safe / power.shape[1]
    flatness = np.exp(np.log(power + _EPSILON).mean(axis=1)) / (arithmetic + _EPSILON)
    rolloff = frequencies[
        (np.cumsum(power, axis=1) < ROLLOFF_SHARE * safe[:, None]).sum(axis=1).clip(max=1024)
    ]
    heard = total > _EPSILON
    return (np.column_stack([centroid, np.clip(flatness, 0, 1), rolloff]) * heard[:, None]).astype(np.float32)
