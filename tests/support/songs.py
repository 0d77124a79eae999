"""Generates songs for tests: short music with known beats, and damaged or unusual files."""

import io
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 44_100


def pulse(
    seed: int, *, seconds: float = 8.0, bpm: float | None = None, beats: Sequence[float] | None = None
) -> np.ndarray:
    """Return a drum loop over a chord, mono float32 in -1..1; each seed gives another song.

    The beats are at the given times in s, else evenly spaced at a tempo.
    """
    rng = np.random.default_rng(seed)
    bpm = bpm or float(rng.integers(96, 150))
    time = np.arange(int(seconds * RATE)) / RATE
    audio = 0.02 * rng.standard_normal(time.size)
    root = 110 * 2 ** (rng.integers(0, 12) / 12)
    for ratio in (1, 1.25, 1.5):
        audio += 0.08 * np.sin(2 * np.pi * root * ratio * time)
    for beat in np.arange(0.1, seconds - 0.3, 60 / bpm) if beats is None else beats:
        start = int(beat * RATE)
        hit = np.arange(int(0.15 * RATE)) / RATE
        audio[start : start + hit.size] += 0.7 * np.sin(2 * np.pi * 55 * hit) * np.exp(-hit / 0.05)
        audio[start : start + 400] += 0.3 * rng.standard_normal(400)
    return (audio / np.abs(audio).max() * 0.9).astype(np.float32)


def wav(audio: np.ndarray, *, rate: int = RATE, width: int = 2) -> bytes:
    """Return a PCM WAV of mono (n,) or multichannel (n, channels) audio with `width` bytes per sample."""
    frames = audio[:, None] if audio.ndim == 1 else audio
    scaled = {
        1: lambda x: ((x * 127) + 128).astype(np.uint8),
        2: lambda x: (x * 32767).astype("<i2"),
    }[width](np.clip(frames, -1, 1))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(frames.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(scaled.tobytes())
    return buffer.getvalue()


def song(seed: int, *, seconds: float = 8.0) -> bytes:
    """Return a short WAV; each seed gives other bytes."""
    return wav(pulse(seed, seconds=seconds))


def encoded(audio: np.ndarray, *, codec: str, container: str, rate: int = RATE) -> bytes:
    """Encode mono audio with an encoder of libav."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(np.stack([audio, audio])), format="fltp", layout="stereo"
        )
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = 0
        fifo = av.AudioFifo()
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=rate)
        for resampled in resampler.resample(frame):
            fifo.write(resampled)
        size = stream.codec_context.frame_size or 1024
        while (part := fifo.read(size, partial=True)) is not None:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def mp3(seed: int, *, seconds: float = 8.0) -> bytes:
    """Return a short MP3."""
    return encoded(pulse(seed, seconds=seconds), codec="libmp3lame", container="mp3")


def lying_wav(seed: int) -> bytes:
    """Return a WAV whose header claims ten times the audio that follows."""
    honest = bytearray(song(seed))
    size = int.from_bytes(honest[40:44], "little")
    honest[40:44] = (size * 10).to_bytes(4, "little")
    honest[4:8] = (size * 10 + 36).to_bytes(4, "little")
    return bytes(honest)


def silence(seconds: float = 8.0) -> bytes:
    """Return a WAV of silence."""
    return wav(np.zeros(int(seconds * RATE), np.float32))


def drone(seconds: float = 10.0) -> bytes:
    """Return a WAV of one constant chord, which has no beats."""
    time = np.arange(int(seconds * RATE)) / RATE
    return wav(
        (0.3 * np.sin(2 * np.pi * 110 * time) + 0.2 * np.sin(2 * np.pi * 165 * time)).astype(np.float32)
    )


def write(path: Path, data: bytes) -> Path:
    """Write a song to a file and return its path."""
    path.write_bytes(data)
    return path
