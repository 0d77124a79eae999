"""Files for the tests: a click track through libav's encoders, and common defects of such files."""

import functools
import io
import struct
import wave
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from av.audio.stream import AudioStream

from k1_audio.reader import AudioReader

RATE = 44_100
SECONDS = 4.0


@functools.cache
def clicks() -> np.ndarray:
    """Mono float32: bursts of noise at irregular times, so that only one alignment fits."""
    rng = np.random.default_rng(5)
    out = 0.01 * rng.standard_normal(int(SECONDS * RATE))
    for at in np.cumsum(rng.uniform(0.15, 0.4, 9)) * RATE:
        hit = np.arange(min(4000, len(out) - int(at)))
        out[int(at) : int(at) + len(hit)] += 0.6 * np.exp(-hit / 600) * rng.standard_normal(len(hit))
    return (out / np.abs(out).max() * 0.8).astype(np.float32)


ENCODERS = {
    "mp3": ("mp3", "libmp3lame", RATE),
    "mp3 48 kHz": ("mp3", "libmp3lame", 48_000),
    "mp3 22 kHz": ("mp3", "libmp3lame", 22_050),
    "mp2": ("mp2", "mp2", RATE),
    "m4a": ("ipod", "aac", RATE),
    "alac": ("ipod", "alac", RATE),
    "adts": ("adts", "aac", RATE),
    "flac": ("flac", "flac", RATE),
    "opus": ("ogg", "libopus", 48_000),
    "vorbis": ("ogg", "", RATE),
    "aiff": ("aiff", "pcm_s16be", RATE),
    "adpcm": ("wav", "adpcm_ms", RATE),
    "ima adpcm": ("wav", "adpcm_ima_wav", RATE),
}


@functools.cache
def encoded(kind: str, seconds: float = SECONDS) -> bytes:
    """The click track, or its beginning, as one of ENCODERS."""
    container, codec, rate = ENCODERS[kind]
    if kind == "vorbis":
        file = io.BytesIO()
        soundfile.write(file, clicks(), RATE, format="OGG", subtype="VORBIS")
        return file.getvalue()
    return encode(clicks()[: int(seconds * RATE)], container, codec, rate)


def encode(samples: np.ndarray, container: str, codec: str, rate: int = RATE) -> bytes:
    """Mono samples through one of libav's encoders."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
        frame.sample_rate = RATE
        frame.pts, frame.time_base = 0, Fraction(1, RATE)
        resampler = av.AudioResampler(stream.format.name, "mono", rate, frame_size=stream.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return file.getvalue()


def wav(frames: np.ndarray) -> bytes:
    """16-bit PCM of (samples, channels)."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(frames.shape[1])
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(frames, -1, 1) * 32_767).astype("<i2").tobytes())
    return file.getvalue()


def riff(fmt: bytes, data: bytes) -> bytes:
    """A WAV file of any format chunk."""
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def id3(size: int = 40, claimed: int | None = None) -> bytes:
    """An ID3v2.3 tag of zeros; `claimed` is the size in its header, if it differs from the true one."""
    declared = size if claimed is None else claimed
    digits = bytes(declared >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + digits + bytes(size)


def without_tag_frame(mp3: bytes) -> bytes:
    """An MP3 without ID3 tag and without the first frame, which holds the count of the others."""
    from k1_audio.containers.mpeg_stream import read_mpeg

    stream = read_mpeg(mp3)
    assert stream is not None
    return mp3[stream.first :]


def info_at(mp3: bytes | bytearray) -> int:
    """Return the position of LAME's extension in an MP3."""
    return mp3.index(b"Lav", max(mp3.find(b"Xing"), mp3.find(b"Info")))


def decoded(path: Path, content: bytes) -> tuple[np.ndarray, AudioReader]:
    """(samples,) mono float32 at 44.1 kHz, and the reader, closed."""
    path.write_bytes(content)
    parts: list[np.ndarray] = []
    with closing(AudioReader(path)) as reader:
        resampler: av.AudioResampler | None = None
        shape = None
        for frame in reader.frames():
            if shape != (frame.format.name, frame.layout.name, frame.sample_rate):
                shape = (frame.format.name, frame.layout.name, frame.sample_rate)
                parts += [part.to_ndarray()[0] for part in (resampler.resample(None) if resampler else [])]
                resampler = av.AudioResampler("flt", "mono", RATE)
            assert resampler is not None
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        parts += [part.to_ndarray()[0] for part in (resampler.resample(None) if resampler else [])]
    return np.concatenate(parts) if parts else np.empty(0, np.float32), reader


def offset_ms(found: np.ndarray, true: np.ndarray | None = None) -> float:
    """Return how much later the decoded music is, in ms, by cross-correlation."""
    true = clicks() if true is None else true
    size = 1 << (len(found) + len(true)).bit_length()
    match = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(true, size)))
    best = int(match.argmax())
    return 1000 * (best - size if best > size // 2 else best) / RATE
