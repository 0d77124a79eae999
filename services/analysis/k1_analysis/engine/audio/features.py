"""Computes frame-wise features from one short-time Fourier transform.

Window 2048, hop 441 at 44.1 kHz: 100 frames a second. The log spectrum feeds the learned activation, its
half-wave rectified difference is the onset function (SuperFlux: Böck and Widmer, DAFx 2013), and the same
magnitudes give the envelopes and the shape of the spectrum.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.fft
from scipy.ndimage import maximum_filter1d

from k1_analysis.engine.audio.framing import (
    FRAME_RATE_HZ,
    HOP,
    SAMPLE_RATE_HZ,
    WINDOW,
    Floats,
    FrameCutter,
    RowBuffer,
)
from k1_contracts.genesis import ENVELOPE_RATE_HZ

BANDS_PER_OCTAVE = 12
LOWEST_HZ = 30.0
HIGHEST_HZ = 16_000.0
COMPRESSION = 10.0
"""The log spectrum is log10(1 + COMPRESSION * magnitude)."""

ENVELOPE_BANDS_HZ = ((20.0, 250.0), (250.0, 4000.0), (4000.0, 16_000.0))
"""Bass, mids and highs of the Genesis map."""
ONSET_BANDS_HZ = ((0.0, 120.0), (120.0, 500.0), (500.0, 3000.0), (3000.0, 20_000.0))
"""Bands of the onset function: kick, bass, voice and snare, cymbals."""
ATTACK_STEPS = 3
ATTACK_HOP = HOP // ATTACK_STEPS
FRAMES_PER_POINT = FRAME_RATE_HZ // ENVELOPE_RATE_HZ
ROLLOFF_SHARE = 0.85
QUIETEST_PEAK = 10 ** (-18 / 20)
"""Below this peak the log spectrum is computed as if the song were played louder: the network was trained
on peaks above -18 dBFS."""
_BLOCK = 1000
_SUPERFLUX_LAG = 2
_SUPERFLUX_BANDS = 3
_ROUNDING = 1e-6
"""Relative rounding error of float32 in a power after an offset was subtracted."""
_EPSILON = 1e-10


@dataclass(frozen=True, slots=True)
class Filterbank:
    """Triangular filters a semitone apart, each with unit area."""

    weights: Floats
    """(WINDOW // 2 + 1, bands)"""
    centres_hz: Floats
    """(bands,)"""

    def select(self, low_hz: float, high_hz: float) -> slice:
        """Return the slice of the bands whose centre is in [low_hz, high_hz)."""
        first, last = np.searchsorted(self.centres_hz, (low_hz, high_hz))
        return slice(int(first), int(last))


@cache
def filterbank() -> Filterbank:
    """Return the 82 filters that the shipped network was trained on: if they change, train it again."""
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
class Envelopes:
    """The curves of a map: P = ceil(T / FRAMES_PER_POINT) points, 20 a second."""

    bands: Floats
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
    """(P,) frequency below which ROLLOFF_SHARE of the power lies."""
    flux: Floats
    """(P,) mean of the SuperFlux over all bands."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features of one song of T frames, 100 a second."""

    log_bands: Floats
    """(T, 82) log spectrum."""
    onsets: Floats
    """(T, 4) SuperFlux in ONSET_BANDS_HZ, >= 0."""
    attack: Floats
    """(3 T,) power of the samples' first difference in steps of ATTACK_HOP, the first centred one step before
    time zero. It shows where the energy of an onset begins, three times finer than the frames."""
    envelopes: Envelopes


class FeatureExtractor:
    """Extracts features from mono float32 samples at 44.1 kHz (finite), pushed in blocks of any size."""

    def __init__(self) -> None:
        self._cutter = FrameCutter(WINDOW, HOP, _BLOCK)
        self._log_bands = RowBuffer(len(filterbank().centres_hz))
        self._frame_levels: list[Floats] = []
        self._attacks: list[Floats] = []
        self._shapes: list[Floats] = []

    def push(self, samples: Floats) -> None:
        for windows in self._cutter.push(samples):
            self._add(windows)

    def finish(self) -> Features:
        """Return the features of everything pushed; the extractor cannot be used again."""
        for windows in self._cutter.finish():
            self._add(windows)
        log_bands = self._log_bands.finish()
        levels = np.concatenate(self._frame_levels)
        shape = np.concatenate(self._shapes)
        del self._frame_levels, self._shapes
        _raise_level(log_bands, float(levels[:, 4].max()))
        onsets, flux = _onsets(log_bands)
        starts = np.arange(0, len(levels), FRAMES_PER_POINT)
        levels[:, 3] = _without_offset(levels[:, 3], levels[:, 5])
        points = np.sqrt(point_means(levels[:, :4]))
        envelopes = Envelopes(
            bands=points[:, :3],
            rms=points[:, 3],
            peak=np.maximum.reduceat(levels[:, 4], starts),
            centroid_hz=shape[:, 0],
            flatness=shape[:, 1],
            rolloff_hz=shape[:, 2],
            flux=point_means(flux),
        )
        return Features(log_bands, onsets, np.concatenate(self._attacks), envelopes)

    def _add(self, windows: Floats) -> None:
        magnitude = _magnitudes(windows)
        self._log_bands.append(_compress(magnitude @ filterbank().weights))
        self._frame_levels.append(_levels(magnitude, windows))
        self._attacks.append(_attack(windows))
        self._shapes.append(_shape(magnitude[::FRAMES_PER_POINT]))


def extract(samples: Floats) -> Features:
    """Return every feature of `samples` (mono float32 at 44.1 kHz, finite)."""
    extractor = FeatureExtractor()
    extractor.push(samples)
    return extractor.finish()


def log_spectrogram(samples: Floats) -> Floats:
    """Return (T, 82) float32: log10(1 + 10 * filtered magnitude) of mono samples at 44.1 kHz."""
    cutter = FrameCutter(WINDOW, HOP, _BLOCK)
    bank = filterbank().weights
    blocks = [_compress(_magnitudes(windows) @ bank) for windows in _all_windows(cutter, samples)]
    return np.concatenate(blocks)


def superflux(log_bands: Floats) -> Floats:
    """Return (T, bands) >= 0: the rise over two frames, after a maximum filter that tolerates vibrato."""
    rise = np.zeros_like(log_bands)
    if len(log_bands) > _SUPERFLUX_LAG:
        before = maximum_filter1d(log_bands[:-_SUPERFLUX_LAG], _SUPERFLUX_BANDS, axis=1)
        np.maximum(log_bands[_SUPERFLUX_LAG:] - before, 0, out=rise[_SUPERFLUX_LAG:])
    return rise


def point_means(values: Floats) -> Floats:
    """Return (P, ...) means over FRAMES_PER_POINT frames; the last point may cover fewer."""
    starts = np.arange(0, len(values), FRAMES_PER_POINT)
    counts = np.diff(np.append(starts, len(values))).astype(np.float32)
    sums = np.add.reduceat(values, starts, axis=0)
    return np.asarray(sums / counts.reshape(-1, *([1] * (values.ndim - 1))), np.float32)


def _all_windows(cutter: FrameCutter, samples: Floats) -> Iterator[Floats]:
    yield from cutter.push(samples)
    yield from cutter.finish()


@cache
def _window() -> Floats:
    return np.asarray(np.hanning(WINDOW), np.float32)


def _magnitudes(windows: Floats) -> Floats:
    return np.abs(np.asarray(scipy.fft.rfft(windows * _window(), axis=1), np.complex64))


def _compress(magnitude: Floats) -> Floats:
    return np.log10(1 + COMPRESSION * magnitude)


def _raise_level(log_bands: Floats, peak: float) -> None:
    """Raise the log spectrum of a song with a low peak, in place: the compression depends on the level."""
    if not 0 < peak < QUIETEST_PEAK:
        return
    for first in range(0, len(log_bands), _BLOCK):
        block = log_bands[first : first + _BLOCK]
        block[:] = np.log1p(np.expm1(block * np.log(10)) * (QUIETEST_PEAK / peak)) / np.log(10)


def _onsets(log_bands: Floats) -> tuple[Floats, Floats]:
    """Return the (T, 4) onset functions and the (T,) mean flux, computed block by block."""
    bank = filterbank()
    onsets = np.empty((len(log_bands), len(ONSET_BANDS_HZ)), np.float32)
    flux = np.empty(len(log_bands), np.float32)
    for first in range(0, len(log_bands), _BLOCK):
        lead = min(first, _SUPERFLUX_LAG)
        rise = superflux(log_bands[first - lead : first + _BLOCK])[lead:]
        span = slice(first, first + _BLOCK)
        for column, band in enumerate(ONSET_BANDS_HZ):
            onsets[span, column] = rise[:, bank.select(*band)].mean(axis=1)
        flux[span] = rise.mean(axis=1)
    return onsets, flux


def _levels(magnitude: Floats, windows: Floats) -> Floats:
    """Return (frames, 6): power in three bands; power, peak and mean of the hop-sized centre of each window."""
    frequencies = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE_HZ)
    out = np.empty((len(magnitude), 6), np.float32)
    # Parseval for a one-sided spectrum of a windowed frame.
    scale = 2 / (WINDOW * float((_window() ** 2).sum()))
    for column, (low, high) in enumerate(ENVELOPE_BANDS_HZ):
        first, last = np.searchsorted(frequencies, (low, high))
        band = magnitude[:, first:last]
        out[:, column] = scale * np.einsum("ij,ij->i", band, band)
    centre = windows[:, (WINDOW - HOP) // 2 : (WINDOW + HOP) // 2]
    out[:, 3] = np.einsum("ij,ij->i", centre, centre) / centre.shape[1]
    out[:, 4] = np.abs(centre).max(axis=1)
    out[:, 5] = centre.mean(axis=1)
    return out


def _without_offset(power: Floats, means: Floats) -> Floats:
    """Return the power without that of a constant offset, which is not sound and would hide silence."""
    offset = float(np.median(means))
    left = power - 2 * offset * means + offset**2
    left[left < _ROUNDING * power] = 0
    # Digital silence next to music with an offset has no offset: the removal may only make a frame quieter.
    return np.minimum(power, left)


def _attack(windows: Floats) -> Floats:
    """Return (ATTACK_STEPS * frames,): power of the first difference in each part of the windows' centres."""
    first = (WINDOW - HOP) // 2
    step = np.diff(windows[:, first - 1 : first + HOP], axis=1).reshape(-1, ATTACK_HOP)
    return np.einsum("ij,ij->i", step, step) / ATTACK_HOP


def _shape(magnitude: Floats) -> Floats:
    """Return (frames, 3): centroid in Hz, flatness and roll-off in Hz; zeros where there is no sound."""
    power = magnitude**2
    total = power.sum(axis=1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE_HZ).astype(np.float32)
    centroid = (magnitude @ frequencies) / np.maximum(magnitude.sum(axis=1), _EPSILON)
    flatness = np.exp(np.log(power + _EPSILON).mean(axis=1)) / (total / power.shape[1] + _EPSILON)
    below = (np.cumsum(power, axis=1) < ROLLOFF_SHARE * total[:, None]).sum(axis=1)
    rolloff = frequencies[below.clip(max=len(frequencies) - 1)]
    audible = (total > _EPSILON).astype(np.float32)
    return np.stack([centroid, flatness.clip(0, 1), rolloff], axis=1) * audible[:, None]
