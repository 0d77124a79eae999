"""Instruments and effects of the demo song in numpy: float32 at 44.1 kHz.

A sound is an array of shape `(samples,)` for mono or `(2, samples)` for stereo, with a peak of about 1.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ: Final = 44_100
Sound = npt.NDArray[np.float32]

_TABLE_SIZE = 2_048
_NYQUIST_HZ = SAMPLE_RATE_HZ / 2
_HIGHEST_HARMONIC = 200
_BLOCK = 1 << 18


def seconds(duration_s: float) -> Sound:
    """Return the time in seconds of each sample, from 0."""
    return np.arange(round(duration_s * SAMPLE_RATE_HZ), dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)


def frequency(note: float) -> float:
    """Return the frequency in Hz of a MIDI note; 69 is the A of 440 Hz."""
    return float(440.0 * 2.0 ** ((note - 69.0) / 12.0))


@cache
def _saw_cycle(harmonics: int) -> Sound:
    """Return one cycle of a sawtooth whose harmonics fade out towards the highest one, so that it never aliases."""
    phase = np.arange(_TABLE_SIZE, dtype=np.float64) / _TABLE_SIZE
    cycle = np.zeros(_TABLE_SIZE)
    for harmonic in range(1, harmonics + 1):
        taper = np.cos(0.5 * np.pi * harmonic / (harmonics + 1)) ** 2
        cycle += taper / harmonic * np.sin(2.0 * np.pi * harmonic * phase)
    return (cycle / np.max(np.abs(cycle))).astype(np.float32)


def saw(pitch_hz: float, duration_s: float, *, cutoff_hz: float, phase: float = 0.0) -> Sound:
    """Return a sawtooth without harmonics above `cutoff_hz`."""
    harmonics = int(np.clip(min(cutoff_hz, _NYQUIST_HZ * 0.9) / pitch_hz, 1, _HIGHEST_HARMONIC))
    position = (phase + pitch_hz * np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ) % 1.0
    return _saw_cycle(harmonics)[(position * _TABLE_SIZE).astype(np.int32)]


def super_saw(pitch_hz: float, duration_s: float, *, cutoff_hz: float, rng: np.random.Generator) -> Sound:
    """Return five detuned sawtooths spread over the stereo field."""
    left_right = np.zeros((2, round(duration_s * SAMPLE_RATE_HZ)), np.float32)
    for detune, pan in ((-0.11, 0.1), (-0.05, 0.8), (0.0, 0.5), (0.06, 0.2), (0.12, 0.9)):
        voice = saw(pitch_hz * 2.0 ** (detune / 12.0), duration_s, cutoff_hz=cutoff_hz, phase=rng.random())
        left_right[0] += np.float32(1.0 - pan) * voice
        left_right[1] += np.float32(pan) * voice
    return left_right * np.float32(0.35)


def decay(duration_s: float, time_constant_s: float) -> Sound:
    """Return a falling exponential with a click-free first millisecond."""
    time = seconds(duration_s)
    return np.exp(-time / np.float32(time_constant_s)) * np.minimum(
        time * np.float32(1000.0), np.float32(1.0)
    )


def swell(duration_s: float, edge_s: float) -> Sound:
    """Return an envelope of 1 with raised-cosine edges."""
    time = seconds(duration_s)
    edge = np.minimum(time, np.float32(duration_s) - time) / np.float32(edge_s)
    return (0.5 - 0.5 * np.cos(np.pi * np.clip(edge, 0.0, 1.0))).astype(np.float32)


def noise(duration_s: float, low_hz: float, high_hz: float, rng: np.random.Generator) -> Sound:
    """Return white noise between two frequencies."""
    spectrum = np.fft.rfft(rng.standard_normal(max(2, round(duration_s * SAMPLE_RATE_HZ))))
    bins = np.fft.rfftfreq(max(2, round(duration_s * SAMPLE_RATE_HZ)), 1 / SAMPLE_RATE_HZ)
    spectrum[(bins < low_hz) | (bins > high_hz)] = 0.0
    samples = np.fft.irfft(spectrum, round(duration_s * SAMPLE_RATE_HZ))
    return (samples / np.max(np.abs(samples))).astype(np.float32)


def kick() -> Sound:
    """Return a kick drum: a sine that falls from 190 to 48 Hz, with a click."""
    time = seconds(0.34)
    phase = 2.0 * np.pi * (48.0 * time + (190.0 - 48.0) * 0.032 * (1.0 - np.exp(-time / 0.032)))
    body = np.sin(phase) * np.exp(-time / 0.13)
    click = 0.35 * np.sin(2.0 * np.pi * 2_400.0 * time) * np.exp(-time / 0.003)
    return ((body + click) * swell(0.34, 0.001)).astype(np.float32)


def clap(rng: np.random.Generator) -> Sound:
    """Return a hand clap: three bursts of noise, of which the last is longer."""
    sound = np.zeros(round(0.25 * SAMPLE_RATE_HZ), np.float32)
    for start_s, length_s in ((0.0, 0.008), (0.009, 0.008), (0.018, 0.2)):
        burst = noise(length_s, 900.0, 7_000.0, rng) * decay(length_s, length_s / 3.5)
        start = round(start_s * SAMPLE_RATE_HZ)
        sound[start : start + burst.size] += burst
    return sound


def hat(duration_s: float, rng: np.random.Generator) -> Sound:
    """Return a hi-hat: closed when it is short, open when it is long."""
    return noise(duration_s, 7_000.0, 16_000.0, rng) * decay(duration_s, duration_s / 4.0)


def snare(rng: np.random.Generator) -> Sound:
    """Return a snare drum: a tuned body with a burst of noise."""
    body = np.sin(2.0 * np.pi * 185.0 * seconds(0.16)) * decay(0.16, 0.04)
    return (0.6 * body + 0.7 * noise(0.16, 1_500.0, 10_000.0, rng) * decay(0.16, 0.05)).astype(np.float32)


def pluck(pitch_hz: float, duration_s: float) -> Sound:
    """Return a plucked string: a bright attack that gets darker."""
    bright = saw(pitch_hz, duration_s, cutoff_hz=9_000.0) * decay(duration_s, 0.05)
    dark = saw(pitch_hz, duration_s, cutoff_hz=1_800.0) * decay(duration_s, 0.16)
    return (0.5 * (bright + dark)).astype(np.float32)


def bass(pitch_hz: float, duration_s: float) -> Sound:
    """Return a bass note: a dark sawtooth with a sine of the same pitch."""
    weight = np.sin(2.0 * np.pi * pitch_hz * seconds(duration_s)).astype(np.float32)
    growl = saw(pitch_hz, duration_s, cutoff_hz=900.0)
    return ((0.7 * weight + 0.4 * growl) * swell(duration_s, 0.006)).astype(np.float32)


def reverb(sound: Sound, response: Sound) -> Sound:
    """Return `sound` convolved with the impulse response of a room, at its original length (overlap-add)."""
    hop = _BLOCK - response.shape[-1]
    transfer = np.fft.rfft(response, _BLOCK)
    wet = np.zeros((2, sound.shape[-1] + _BLOCK), np.float32)
    for start in range(0, sound.shape[-1], hop):
        block = np.fft.rfft(sound[:, start : start + hop], _BLOCK)
        wet[:, start : start + _BLOCK] += np.fft.irfft(block * transfer, _BLOCK).astype(np.float32)
    return wet[:, : sound.shape[-1]]


def hall(rng: np.random.Generator, duration_s: float = 1.6) -> Sound:
    """Return the impulse response of a room: decaying noise, different on each side."""
    sides = [noise(duration_s, 250.0, 7_000.0, rng) * decay(duration_s, duration_s / 5.0) for _ in range(2)]
    response = np.stack(sides)
    return (response / np.sqrt(np.sum(response**2, axis=1, keepdims=True))).astype(np.float32)


def ping_pong(sound: Sound, step_s: float, *, count: int = 5, feedback: float = 0.45) -> Sound:
    """Return echoes of `sound` that alternate between the sides."""
    step = round(step_s * SAMPLE_RATE_HZ)
    wet = np.zeros_like(sound)
    for echo in range(1, count + 1):
        shift = min(echo * step, sound.shape[-1])
        wet[echo % 2, shift:] += np.float32(feedback**echo) * sound[echo % 2, : sound.shape[-1] - shift]
    return wet
