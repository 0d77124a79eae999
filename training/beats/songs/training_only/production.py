"""What makes modern recordings dense: amplifiers, pumping, cymbal wash, noise risers, limited masters."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from training.beats.songs.compose import KICK
from training.beats.songs.filters import filtered
from training.beats.songs.fluid import SAMPLE_RATE_HZ
from training.beats.songs.score import Score

Audio = NDArray[np.float32]

_CROSSOVERS_HZ = (180.0, 2500.0)
_LOOK_AHEAD = SAMPLE_RATE_HZ // 400
_LOUD = ("chorus", "drop", "hook", "theme")


def amplify(audio: Audio, rng: np.random.Generator) -> Audio:
    """Return the parts through a distorting guitar amplifier and its cabinet, at the same peak."""
    peak = max(1e-9, float(np.abs(audio).max()))
    tight = filtered(audio / peak, 1, float(rng.uniform(60, 150)), "highpass")
    driven = np.tanh(10 ** rng.uniform(0.6, 1.5) * tight)
    cabinet = filtered(driven, 2, float(rng.uniform(3500, 6500)), "lowpass")
    return (peak * cabinet / max(1e-9, float(np.abs(cabinet).max()))).astype(np.float32)


def pump(audio: Audio, score: Score, rng: np.random.Generator) -> Audio:
    """Return the parts ducked under each kick drum, as by a side chain; the gain recovers within half a beat."""
    gain = np.ones(len(audio), np.float32)
    recovery = int(SAMPLE_RATE_HZ * rng.uniform(0.3, 0.9) * 60 / score.bpm)
    dip = np.linspace(rng.uniform(0.05, 0.5), 1, max(1, recovery), dtype=np.float32)
    for note in score.notes:
        if note.voice == "drums" and note.pitch == KICK:
            at = max(0, int(score.onset(note.beat) * SAMPLE_RATE_HZ))
            part = gain[at : at + len(dip)]
            np.minimum(part, dip[: len(part)], out=part)
    return audio * gain


def wash(score: Score, length: int, rng: np.random.Generator) -> Audio:
    """Return ringing cymbals under the loud sections and noise that rises into them, with peaks of about .3."""
    out = np.zeros(length)
    noise = filtered(rng.normal(0, 1, length), 1, float(rng.uniform(2000, 7000)), "highpass")
    noise *= 0.3 / max(1e-9, float(np.abs(noise).max()))
    sway = 1 + rng.uniform(0, 0.5) * np.sin(
        2 * np.pi * rng.uniform(0.1, 3) * np.arange(length) / SAMPLE_RATE_HZ
    )
    depth = float(rng.uniform(0.2, 1.0))
    for start, end, label in score.truth().sections:
        a, b = int(start * SAMPLE_RATE_HZ), min(length, int(end * SAMPLE_RATE_HZ))
        if label in _LOUD or rng.random() < 0.2:
            out[a:b] += depth * noise[a:b] * sway[a:b]
        elif rng.random() < 0.4:
            out[a:b] += noise[a:b] * np.linspace(0, 1, b - a) ** 2
    return out.astype(np.float32)


def densify(audio: Audio, rng: np.random.Generator) -> Audio:
    """Return a loud master: three bands saturated apart, then a limiter; no sample moves in time."""
    low = filtered(audio, 1, _CROSSOVERS_HZ[0], "lowpass")
    high = filtered(audio, 1, _CROSSOVERS_HZ[1], "highpass")
    bands = (low, audio - low - high, high)
    mixed = np.sum([_saturated(band, rng) for band in bands], axis=0)
    return _limited(mixed, float(rng.uniform(1.3, 3)))


def _saturated(band: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a band of unit RMS through a soft clipper, louder or quieter by up to 5 dB."""
    spread = max(1e-9, float(np.sqrt((band**2).mean())))
    drive = float(rng.uniform(0.3, 1.2))
    return np.tanh(drive * band / spread) / drive * 10 ** (rng.uniform(-5, 5) / 20)


def _limited(audio: NDArray[np.float64], ratio: float) -> Audio:
    """Return the audio with its peaks brought down to those of 1 / `ratio`, looking 2.5 ms ahead."""
    peaks = maximum_filter1d(np.abs(audio), 2 * _LOOK_AHEAD + 1)
    ceiling = max(1e-9, float(peaks.max())) / ratio
    gain = uniform_filter1d(np.minimum(1, ceiling / np.maximum(peaks, 1e-9)), 2 * _LOOK_AHEAD + 1)
    return (audio * gain).astype(np.float32)
