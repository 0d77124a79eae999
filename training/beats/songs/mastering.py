"""Turns a clean mix into a realistic recording: equalises, reverberates, compresses, degrades and encodes it."""

import io
from typing import Literal, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

from .filters import filtered
from .fluid import SAMPLE_RATE_HZ

Audio = NDArray[np.float32]
Codec = Literal["mp3", "aac"]
_FORMATS: dict[Codec, tuple[str, str]] = {"mp3": ("mp3", "libmp3lame"), "aac": ("mp4", "aac")}
_FRAME = 1152


def master(mix: Audio, drive: tuple[float, float], rng: np.random.Generator) -> Audio:
    """Apply tone, space, dynamics and damage, each drawn at random; no sample moves in time.

    Args:
        mix: mono samples.
        drive: range of the soft clipper's gain; 1 leaves the dynamics alone.
        rng: the song's random numbers.
    """
    audio = _normalised(mix)
    if rng.random() < 0.5:
        audio = _shelf(audio, rng)
    if rng.random() < 0.5:
        audio = _reverb(audio, rng)
    gain = float(rng.uniform(*drive))
    if gain > 1.3:
        audio = _compress(audio, ratio=float(rng.uniform(1.5, 4)))
    audio = np.tanh(gain * _normalised(audio)) / np.tanh(gain)
    audio = _damage(audio, rng)
    audio = _normalised(audio) * 10 ** (rng.uniform(-14, -0.3) / 20)
    if rng.random() < 0.35:
        codec: Codec = "mp3" if rng.random() < 0.6 else "aac"
        audio = round_trip(audio.astype(np.float32), codec, int(rng.choice([48, 64, 96, 128, 192])))
    return audio.astype(np.float32)


def _normalised(audio: Audio) -> Audio:
    return audio / max(1e-9, float(np.abs(audio).max()))


def _filtered(audio: Audio, order: int, hz: float, kind: Literal["lowpass", "highpass"]) -> Audio:
    return filtered(audio, order, hz, kind).astype(np.float32)


def _shelf(audio: Audio, rng: np.random.Generator) -> Audio:
    """Raise or lower everything below and above two corners by up to 8 dB."""
    low = _filtered(audio, 1, float(rng.uniform(100, 400)), "lowpass")
    high = _filtered(audio, 1, float(rng.uniform(2000, 6000)), "highpass")
    gains = 10 ** (rng.uniform(-8, 8, 2) / 20) - 1
    return (audio + float(gains[0]) * low + float(gains[1]) * high).astype(np.float32)


def _reverb(audio: Audio, rng: np.random.Generator) -> Audio:
    """Return a room of decaying noise with a short pre-delay; the direct sound comes first."""
    t = np.arange(int(rng.uniform(0.3, 1.6) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    response = rng.normal(0, 1, len(t)) * np.exp(-5 * t / t[-1]) * (t > 0.008)
    response /= np.sqrt((response**2).sum())
    wet = fftconvolve(audio, response)[: len(audio)]
    return (audio + rng.uniform(0.05, 0.4) * wet).astype(np.float32)


def _compress(audio: Audio, ratio: float) -> Audio:
    """Apply a feed-forward compressor: level over 80 ms, threshold at the song's own RMS."""
    pole = np.exp(-1 / (0.08 * SAMPLE_RATE_HZ))
    power = np.asarray(lfilter([1 - pole], [1, -pole], audio.astype(np.float64) ** 2))
    over = np.maximum(1, power / max(1e-12, float((audio**2).mean())))
    return (audio * over ** (-(1 - 1 / ratio) / 2)).astype(np.float32)


def _damage(audio: Audio, rng: np.random.Generator) -> Audio:
    """Add noise or limit the band, as with old recordings, small microphones or radio."""
    if rng.random() < 0.3:
        audio = audio + rng.normal(0, 10 ** rng.uniform(-4.2, -2.2), len(audio)).astype(np.float32)
    if rng.random() < 0.25:
        audio = _filtered(audio, 2, float(rng.uniform(4000, 15000)), "lowpass")
    if rng.random() < 0.2:
        audio = _filtered(audio, 1, float(rng.uniform(60, 250)), "highpass")
    return audio


def round_trip(audio: Audio, codec: Codec, kbps: int) -> Audio:
    """Encode and decode; the result has the same length and the encoder's delay removed."""
    container, encoder = _FORMATS[codec]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = cast(AudioStream, output.add_stream(encoder, rate=SAMPLE_RATE_HZ, layout="mono"))
        stream.bit_rate = kbps * 1000
        for start in range(0, len(audio), _FRAME):
            block = np.ascontiguousarray(audio[start : start + _FRAME], np.float32)[None]
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as source:
        blocks = [frame.to_ndarray().reshape(-1) for frame in source.decode(audio=0)]
    decoded = np.concatenate(blocks).astype(np.float32)[: len(audio)]
    return np.pad(decoded, (0, len(audio) - len(decoded)))
