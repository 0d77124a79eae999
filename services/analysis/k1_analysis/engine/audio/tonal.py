"""Computes pitch and timbre ten times a second, from windows long enough to separate the notes of a bass.

The features of `features.py` need short windows for timing; chroma needs long ones (8192 samples, 5.4 Hz
apart). Ten frames a second are enough for harmony, so this second transform costs a tenth of the first.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.fft

from k1_analysis.engine.audio.framing import SAMPLE_RATE_HZ, Floats, FrameCutter, Seconds

RATE_HZ = 10
WINDOW = 8192
HOP = SAMPLE_RATE_HZ // RATE_HZ
PITCH_CLASSES = 12
COEFFICIENTS = 13
_CHROMA_HZ = (55.0, 2200.0)
_BASS_HZ = (55.0, 260.0)
_MEL_BANDS = 30
_MEL_HIGHEST_HZ = 11_000.0
_MEL_FLOOR = 1e-6
_BLOCK = 100


@dataclass(frozen=True, slots=True)
class Tonal:
    """Tonal features of N frames, 10 a second."""

    chroma: Floats
    """(N, 12) from C upwards."""
    bass_chroma: Floats
    """(N, 12) below 260 Hz."""
    mfcc: Floats
    """(N, 13)"""


class TonalExtractor:
    """Extracts tonal features from mono float32 samples at 44.1 kHz, pushed in blocks."""

    def __init__(self) -> None:
        self._cutter = FrameCutter(WINDOW, HOP, _BLOCK)
        self._rows: list[Floats] = []

    def push(self, samples: Floats) -> None:
        for windows in self._cutter.push(samples):
            self._rows.append(_rows(windows))

    def finish(self) -> Tonal:
        """Return the features of everything pushed; the extractor cannot be used again."""
        self._rows.extend(_rows(windows) for windows in self._cutter.finish())
        rows = np.concatenate(self._rows)
        return Tonal(
            chroma=rows[:, :PITCH_CLASSES],
            bass_chroma=rows[:, PITCH_CLASSES : 2 * PITCH_CLASSES],
            mfcc=rows[:, 2 * PITCH_CLASSES :],
        )


def beat_means(frames: Floats, beats: Seconds) -> Floats:
    """Return (len(beats), columns): mean of `frames` from each beat to the next; the last spans a median interval."""
    if not len(beats):
        return np.empty((0, frames.shape[1]), np.float32)
    interval = float(np.median(np.diff(beats))) if len(beats) > 1 else 0.5
    edges = np.round(np.append(beats, beats[-1] + interval) * RATE_HZ).astype(int)
    starts = edges[:-1].clip(0, len(frames) - 1)
    stops = np.maximum(edges[1:], starts + 1).clip(max=len(frames))
    sums = np.concatenate([np.zeros((1, frames.shape[1])), np.cumsum(frames, axis=0, dtype=np.float64)])
    return ((sums[stops] - sums[starts]) / (stops - starts)[:, None]).astype(np.float32)


def _rows(windows: Floats) -> Floats:
    magnitude = np.abs(np.asarray(scipy.fft.rfft(windows * _window(), axis=1), np.complex64))
    chroma = np.log1p(magnitude) @ _pitch_weights()
    mel = np.log(_MEL_FLOOR + (magnitude**2) @ _mel_weights())
    mfcc = np.asarray(scipy.fft.dct(mel, axis=1, norm="ortho"))[:, :COEFFICIENTS]
    return np.concatenate([chroma, mfcc], axis=1)


@cache
def _window() -> Floats:
    return np.hanning(WINDOW).astype(np.float32)


@cache
def _pitch_weights() -> Floats:
    """Return (bins, 24): weights of chroma, then of bass chroma; a bin counts for both semitones around it."""
    frequencies = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE_HZ)
    semitones = 69 + 12 * np.log2(np.maximum(frequencies, 1) / 440)
    weights = np.zeros((len(frequencies), 2 * PITCH_CLASSES), np.float32)
    for step in (0, 1):
        note = np.floor(semitones) + step
        weight = np.maximum(0, 1 - np.abs(semitones - note)) ** 2
        for column, (low, high) in ((0, _CHROMA_HZ), (PITCH_CLASSES, _BASS_HZ)):
            inside = np.flatnonzero((frequencies >= low) & (frequencies <= high))
            weights[inside, column + note[inside].astype(int) % PITCH_CLASSES] += weight[inside]
    return weights


@cache
def _mel_weights() -> Floats:
    """Return (bins, 30) triangles evenly spaced on the mel scale."""
    frequencies = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE_HZ)
    mels = np.linspace(0, 2595 * np.log10(1 + _MEL_HIGHEST_HZ / 700), _MEL_BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    sorted_beats = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(sorted_beats, falling)).astype(np.float32)
