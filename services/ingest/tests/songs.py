"""Synthesised songs for tests: a decaying click every half second over a quiet tone."""

import functools
import io
import struct
import wave

import av
import numpy as np
import soundfile
from av.audio.stream import AudioStream

RATE = 44_100
ENCODERS = {
    "mp3": ("mp3", "libmp3lame"),
    "mp2": ("mp2", "mp2"),
    "aiff": ("aiff", "pcm_s16be"),
    "flac": ("flac", "flac"),
    "opus": ("ogg", "libopus"),
    "m4a": ("ipod", "aac"),
}
KINDS = (*ENCODERS, "vorbis")


def samples(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Return mono int16 samples; another seed gives other bytes."""
    times = np.arange(int(seconds * rate)) / rate
    clicks = np.exp(-40 * (times % 0.5)) * np.sin(2 * np.pi * 1500 * times)
    tone = 0.2 * np.sin(2 * np.pi * (200 + seed % 1000) * times)
    noise = 0.01 * np.random.default_rng(seed).standard_normal(len(times))
    return ((clicks * 0.6 + tone + noise) * 20_000).astype(np.int16)


def wav(seconds: float = 2.0, seed: int = 0, *, rate: int = RATE, channels: int = 1, width: int = 2) -> bytes:
    """Return a PCM WAV file with `width` bytes for each sample."""
    mono = samples(seconds, seed, rate)
    if width == 1:
        mono = ((mono >> 8) + 128).astype(np.uint8)
    frames = np.repeat(mono[:, None], channels, axis=1)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(frames.tobytes())
    return file.getvalue()


def encoded(kind: str, seconds: float = 2.0, seed: int = 0) -> bytes:
    """Return the song in one of KINDS."""
    file = io.BytesIO()
    if kind == "vorbis":
        soundfile.write(file, samples(seconds, seed), RATE, format="OGG", subtype="VORBIS")
        return file.getvalue()
    container_name, codec = ENCODERS[kind]
    rate = 48_000 if kind == "opus" else RATE
    with av.open(file, "w", format=container_name) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        frame = av.AudioFrame.from_ndarray(samples(seconds, seed, rate)[None, :], format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


def lying_wav(seconds: float = 2.0, seed: int = 0) -> bytes:
    """Return a WAV whose header declares two gigabytes."""
    data = bytearray(wav(seconds, seed))
    data[4:8] = struct.pack("<I", 2_000_000_036)
    data[40:44] = struct.pack("<I", 2_000_000_000)
    return bytes(data)


@functools.cache
def encoded_once(kind: str) -> bytes:
    """Return `encoded(kind)`, made once in each test process."""
    return encoded(kind)
