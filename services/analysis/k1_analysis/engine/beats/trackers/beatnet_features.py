"""Computes the spectrum that BeatNet reads: 136 bands and their rise, 50 frames a second.

BeatNet was trained on madmom's features at 22.05 kHz: frames of 1411 samples, a quarter tone per band, log10(1 + x).
Here a window of twice the length reads 44.1 kHz. It gives the same frequencies, so nothing has to be resampled in
time, and no filter delays the beats.
"""

from functools import cache

import numpy as np
import scipy.fft
from scipy.special import ndtr

from k1_analysis.engine.audio.framing import SAMPLE_RATE_HZ, Floats

WINDOW = 2821
HOP = 882
BANDS = 136
_TRANSFORM = 2 * 1411
_BINS = 705
"""Bins of the transform below 11 kHz, as many as madmom keeps."""
_BANDS_PER_OCTAVE = 24
_LOWEST_HZ, _HIGHEST_HZ = 30.0, 17_000.0
_A4_HZ = 440.0
_ROLL_OFF_HZ, _ROLL_OFF_WIDTH_HZ = 10_550.0, 132.0
"""Fitted to the frequency response of soxr's HQ resampler, with which BeatNet reads files."""


def log_spectrum(windows: Floats) -> Floats:
    """Return (frames, BANDS) from (frames, WINDOW) samples at 44.1 kHz."""
    spectrum = np.asarray(scipy.fft.rfft(windows * _window(), _TRANSFORM, axis=1), np.complex64)
    return np.log10(1 + np.abs(spectrum[:, :_BINS]) @ filters())


def with_rise(log_bands: Floats, before: Floats | None) -> Floats:
    """Return (frames, 2 * BANDS): the log spectrum and its half-wave rectified difference to the frame before.

    `before` is the (BANDS,) frame before the first; None at the start of the song, where the rise is 0.
    """
    first = log_bands[:1] if before is None else before[None, :]
    rise = np.maximum(np.diff(log_bands, axis=0, prepend=first), 0)
    return np.concatenate([log_bands, rise], axis=1)


@cache
def filters() -> Floats:
    """Return (bins, BANDS): triangles with unit area between quarter tones, each rounded to a bin.

    As madmom's LogarithmicFilterbank, times the response of the resampler.
    """
    steps = np.arange(
        np.floor(np.log2(_LOWEST_HZ / _A4_HZ) * _BANDS_PER_OCTAVE),
        np.ceil(np.log2(_HIGHEST_HZ / _A4_HZ) * _BANDS_PER_OCTAVE),
    )
    corners_hz = _A4_HZ * 2 ** (steps / _BANDS_PER_OCTAVE)
    corners_hz = corners_hz[(corners_hz >= _LOWEST_HZ) & (corners_hz <= _HIGHEST_HZ)]
    # madmom takes the bins for 1/1410 of the sample rate apart, although the frames have 1411 samples.
    spacing_hz = SAMPLE_RATE_HZ / 2 / (2 * _BINS)
    bins = np.unique(np.ceil(corners_hz / spacing_hz - 0.5).clip(1, _BINS - 1).astype(int))
    weights = np.zeros((_BINS, len(bins) - 2), np.float32)
    for band, (low, centre, high) in enumerate(zip(bins[:-2], bins[1:-1], bins[2:], strict=True)):
        weights[low:centre, band] = np.linspace(0, 1, centre - low, endpoint=False)
        weights[centre:high, band] = np.linspace(1, 0, high - centre, endpoint=False)
    weights /= weights.sum(axis=0)
    frequencies_hz = np.arange(_BINS) * SAMPLE_RATE_HZ / _TRANSFORM
    response = ndtr((_ROLL_OFF_HZ - frequencies_hz) / _ROLL_OFF_WIDTH_HZ)
    return np.asarray(weights * response[:, None], np.float32)


@cache
def _window() -> Floats:
    # Half, because the window holds twice as many samples as BeatNet's.
    return np.asarray(np.hanning(WINDOW) / 2, np.float32)
