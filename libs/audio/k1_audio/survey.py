"""Finds, without decoding, the parts of a file to decode, the start of its music, and its declared length."""

from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, Final

from k1_audio.containers.mpeg_stream import MpegStream, read_mpeg
from k1_audio.containers.ogg import links
from k1_audio.containers.tags import Bytes, audio_end, leading_end
from k1_audio.containers.wav import WavHeader, read_wav
from k1_audio.encoder_delay import MusicStart
from k1_audio.kinds import Kind, find_flac, find_kind

FORMATS: Final[dict[Kind, str]] = {
    "mp3": "mp3",
    "mp2": "mp3",
    "wav": "wav",
    "flac": "flac",
    "ogg": "ogg",
    "m4a": "mov",
    "aiff": "aiff",
    "adts": "aac",
}
"""libav's demuxer for each kind."""


@dataclass(frozen=True, slots=True)
class Part:
    """A range of a file that libav reads like a separate file."""

    first: int
    end: int
    format: str | None = None
    """libav's demuxer; None leaves the choice to libav."""
    options: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Survey:
    """The parts, start and lengths of a file, before it is decoded."""

    kind: Kind | None
    """None for kinds that only libav knows."""
    parts: tuple[Part, ...]
    """They follow each other in time."""
    start: MusicStart | None = None
    """Where the music starts; None if the codec or the container decides."""
    samples: int | None = None
    """Samples from the start to the end of the music, if the file declares them."""
    length_s: float | None = None
    """Seconds in the counted frames, without the encoder's delay and padding if these are known."""
    declared_s: float | None = None
    """Seconds that the header declares, if libav would misread the header."""
    lost_s: float = 0.0
    """Seconds of frames that were destroyed between others."""
    estimated: bool = False
    """Whether libav guesses the length from the size of the file."""


def survey(path: Path) -> Survey:
    """Return the survey of a file. An unreadable or empty one is left to libav."""
    with path.open("rb") as file:
        return survey_file(file)


def survey_file(file: BinaryIO) -> Survey:
    """Return the survey of an open file."""
    size = file.seek(0, 2)
    if not size:
        return Survey(None, (Part(0, 0),))
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        return survey_data(data)


def survey_data(data: Bytes) -> Survey:
    """Return the survey of a file's content."""
    kind = find_kind(data)
    if kind in {"mp3", "mp2"}:
        stream = read_mpeg(data)
        return _of_mpeg(stream) if stream else _whole(data, kind)
    if kind == "wav":
        header = read_wav(data, leading_end(data))
        return _of_wav(header, data) if header else _whole(data, kind)
    if kind == "ogg":
        return Survey(kind, tuple(Part(first, end, "ogg") for first, end in links(data)), estimated=True)
    return _whole(data, kind)


def _whole(data: Bytes, kind: Kind | None) -> Survey:
    """Return the survey of a file between its tags. Kinds that only libav knows are left to libav."""
    if kind is None:
        return Survey(kind, (Part(0, len(data)),))
    first = find_flac(data) if kind == "flac" else leading_end(data)
    # In a stream of bare frames a tag would be decoded as noise; containers declare their end.
    end = audio_end(data) if kind in {"flac", "adts", "mp3", "mp2"} else len(data)
    return Survey(kind, (Part(first, end, FORMATS[kind]),), estimated=kind in {"adts", "mp3", "mp2"})


def _of_mpeg(stream: MpegStream) -> Survey:
    return Survey(
        kind=stream.kind,
        parts=(Part(stream.first, stream.end, "mp3"),),
        start=stream.start,
        samples=stream.samples,
        length_s=stream.samples / stream.rate_hz if stream.samples else stream.counted_s,
        declared_s=stream.declared_s,
        lost_s=stream.lost_s,
        estimated=True,
    )


def _of_wav(header: WavHeader, data: Bytes) -> Survey:
    part = Part(leading_end(data), len(data), "wav")
    if header.raw_format:
        options = {"sample_rate": str(header.rate_hz), "ch_layout": _layout(header.channels)}
        part = Part(header.data_at, header.data_end, header.raw_format, options)
    return Survey("wav", (part,), declared_s=header.declared_s, estimated=True)


def _layout(channels: int) -> str:
    return {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
