"""Encodes a song as Opus in an Ogg file, for players. A hostile file may crash the process: only in worker processes."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Final

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container.core import Flags

from k1_analysis.engine.audio.resampling import resample, silence_damage
from k1_audio.reader import AudioReader

RATE_HZ: Final = 48_000
_FRAME: Final = 960
"""20 ms, the length of Opus's usual frame."""
_BITS_PER_S: Final = {"mono": 64_000, "stereo": 96_000}


@dataclass(frozen=True, slots=True)
class CopyTask:
    """A song to encode."""

    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class EncodedCopy:
    """Size and hash of the file that was written."""

    size_bytes: int
    sha256: str


def encode_copy(task: CopyTask) -> EncodedCopy:
    """Write the copy; its first sample is the first of the music, as in the map.

    Raises:
        ReadError: the file cannot be read, or holds no audio.
        EngineError: its channels cannot be converted.
    """
    with closing(AudioReader(task.source)) as reader, av.open(task.target, "w", format="ogg") as output:
        output.flags |= Flags.bitexact.value  # else each copy of a song would be another file
        layout = "mono" if reader.stream_info.channels == 1 else "stereo"
        stream = output.add_stream("libopus", rate=RATE_HZ, layout=layout)
        assert isinstance(stream, AudioStream)
        stream.bit_rate = _BITS_PER_S[layout]
        for frame in _frames(reader, stream.format.name, layout):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    data = task.target.read_bytes()
    return EncodedCopy(len(data), sha256(data).hexdigest())


def _frames(reader: AudioReader, sample_format: str, layout: str) -> Iterator[AudioFrame]:
    """Yield the music in frames for the encoder, with a clock that counts samples."""
    resampler = AudioResampler(sample_format, layout, RATE_HZ, frame_size=_FRAME)
    at = 0

    def timed(frames: list[AudioFrame]) -> Iterator[AudioFrame]:
        nonlocal at
        for frame in frames:
            frame.pts, frame.time_base = at, Fraction(1, RATE_HZ)
            at += frame.samples
            yield frame

    for damaged in resample(reader.frames()):
        sound, _ = silence_damage(damaged)
        sound.pts = None
        yield from timed(resampler.resample(sound))
    yield from timed(resampler.resample(None))
