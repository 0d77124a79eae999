"""A singing voice: a pulse train with vibrato and portamento through the formants of vowels."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from training.beats.songs.filters import filtered
from training.beats.songs.fluid import SAMPLE_RATE_HZ
from training.beats.songs.score import Note, Score

Audio = NDArray[np.float32]

_VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
"""Formants of a, i, u, e, o: Peterson and Barney, "Control methods used in a study of the vowels", 1952."""
_BANDWIDTHS_HZ = (80, 100, 140)
_FORMANT_LEVELS = (1.0, 0.6, 0.3)
_CONTROL_HZ = 200
_HIGHEST = 76
_LEVEL = 0.35


def sing(score: Score, rng: np.random.Generator) -> Audio:
    """Return the lead of a score as a voice, mono, as long as the score; onsets are up to 60 ms off."""
    length = int(score.duration * SAMPLE_RATE_HZ)
    notes = [n for n in score.notes if n.voice == "lead" and rng.random() < 0.9]
    if not notes:
        return np.zeros(length, np.float32)
    octave = 12 * int(rng.integers(0, 3))
    times, pitches, vowels, ends = _syllables(score, notes, octave, rng)
    steps = int(score.duration * _CONTROL_HZ)
    at = np.arange(steps) / _CONTROL_HZ
    syllable = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 1)
    pitch = _smoothed(pitches[syllable], float(rng.uniform(0.02, 0.09)))
    pitch += rng.uniform(0.1, 0.6) * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * at)
    sounding = (at >= times[syllable]) & (at < ends[syllable])
    level = _smoothed(sounding.astype(float), float(rng.uniform(0.012, 0.04)))
    fine = np.arange(length) / SAMPLE_RATE_HZ
    source = _glottis(np.interp(fine, at, 440 * 2 ** ((pitch - 69) / 12)), rng)
    voice = np.zeros(length)
    for vowel, formants in enumerate(_VOWELS_HZ):
        share = _smoothed((vowels[syllable] == vowel).astype(float), 0.02)
        if share.any():
            voice += _resonate(source * np.interp(fine, at, share * level), formants)
    voice /= max(1e-9, float(np.abs(voice).max()))
    voice += _consonants(times, length, rng)
    return (_LEVEL * rng.uniform(0.6, 1.8) * voice).astype(np.float32)


def _syllables(
    score: Score, notes: list[Note], octave: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return onsets in seconds, pitches, vowels and ends of the syllables; some are a half-beat early or late."""
    late = float(rng.uniform(-0.01, 0.03))
    shifted = [n.beat + float(rng.choice([0, 0, 0, -0.5, 0.5, -0.25])) for n in notes]
    times = np.array([score.onset(max(0.0, beat)) for beat in shifted])
    times += late + rng.normal(0, 0.02, len(notes))
    order = np.argsort(times)
    times = times[order]
    pitches = np.array([min(n.pitch, _HIGHEST + 12) - octave for n in notes], float)[order]
    lengths = np.array([score.onset(n.beat + n.length) - score.onset(n.beat) for n in notes])[order]
    return (
        times,
        pitches,
        rng.integers(0, len(_VOWELS_HZ), len(notes)),
        times + rng.uniform(0.6, 1.0) * lengths,
    )


def _smoothed(values: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Return a control curve after a one-pole low-pass filter, started at its first value."""
    pole = np.exp(-1 / (seconds * _CONTROL_HZ))
    return np.asarray(lfilter([1 - pole], [1, -pole], values - values[0])) + values[0]


def _glottis(hz: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a sawtooth of the given frequency, softened, with breath."""
    phase = np.cumsum(hz) / SAMPLE_RATE_HZ % 1
    breath = rng.normal(0, rng.uniform(0.02, 0.15), len(hz))
    return filtered(2 * phase - 1, 1, 2500, "lowpass") + breath


def _resonate(source: NDArray[np.float64], formants_hz: tuple[int, ...]) -> NDArray[np.float64]:
    out = np.zeros(len(source))
    for hz, width, level in zip(formants_hz, _BANDWIDTHS_HZ, _FORMANT_LEVELS, strict=True):
        radius = np.exp(-np.pi * width / SAMPLE_RATE_HZ)
        pole = -2 * radius * np.cos(2 * np.pi * hz / SAMPLE_RATE_HZ)
        out += level * np.asarray(lfilter([(1 - radius) * 2], [1, pole, radius**2], source))
    return out


def _consonants(times: NDArray[np.float64], length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return bursts of noise 20 to 80 ms before the vowels of two thirds of the syllables."""
    out = np.zeros(length)
    noise = filtered(rng.normal(0, 1, SAMPLE_RATE_HZ), 2, float(rng.uniform(2500, 6000)), "highpass")
    for time in times:
        if rng.random() < 0.66:
            lead = float(rng.uniform(0.02, 0.08))
            start, n = int((time - lead) * SAMPLE_RATE_HZ), int(lead * SAMPLE_RATE_HZ)
            if start >= 0 and start + n <= length:
                offset = int(rng.integers(0, len(noise) - n))
                out[start : start + n] += rng.uniform(0.05, 0.3) * noise[offset : offset + n] * np.hanning(n)
    return out
