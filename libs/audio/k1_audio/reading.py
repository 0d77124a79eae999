"""A file's frames as libav decodes them, from the first true one on, without what the encoder added.

Runs where a hostile file may crash the process: in a child.
"""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition

from k1_audio.slices import FileSlice
from k1_audio.start import USUAL, Start, usual_start
from k1_audio.survey import Part, Survey, survey

TOLERANCE_S: Final = 1.0
"""A file may be this much longer than a limit: encoders pad their last frame."""
# Playlists and the like would make libav open other files than the one it was given.
_FORMATS: Final = (
    "aac,ac3,adts,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,iff,loas,matroska,mov,mp3,mpc,mpc8,"
    "mpeg,mpegts,ogg,oma,rm,tak,tta,voc,w64,wav,webm,wsd,wv"
)
_EXACT_FORMATS: Final = frozenset(
    {"aiff", "ape", "au", "caf", "flac", "matroska", "mov", "tak", "tta", "w64", "wav", "wv"}
)
"""Containers whose declared length is counted by whoever wrote them."""
_MOST_PLANES: Final = 8
"""Reading the planes of a frame with more channels through PyAV 18 crashes the interpreter."""
_SHORTEST_GAP_S: Final = 0.06
"""Clocks jitter by less: Vorbis counts the samples of long and short blocks unevenly."""
_LONGEST_GAP_S: Final = 10.0
"""A clock that jumps further is wrong: there is no music that long missing."""
_DAMAGE_CHECKS: Final = {"flac": {"err_detect": "crccheck"}}


class ReadError(Exception):
    """The file cannot be read."""

    def __init__(self, code: Literal["decode_failed", "unsupported"], message: str) -> None:
        super().__init__(message)
        self.code: Literal["decode_failed", "unsupported"] = code


@dataclass(slots=True)
class Losses:
    """What could not be decoded."""

    packets: int = 0
    """Packets that the decoder refused."""
    seconds: float = 0.0
    """Their length, and that of the gaps in the stream's clock. Silence stands for them."""
    shift_s: float = 0.0
    """Seconds that are gone without anything in their place: what follows comes too early."""
    parts: int = 0
    """Links of a chained stream that could not be opened."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What the first part's stream is."""

    container: str
    codec: str
    """libav's canonical name."""
    decoder: str
    sample_rate_hz: int
    channels: int
    audio_streams: int
    declared_s: float | None
    """A hint: never a reason to refuse a file."""
    exact: bool
    """Whether whoever wrote `declared_s` had counted."""


class AudioReader:
    """One file, opened. A context manager by `closing`.

    Raises:
        ReadError: `decode_failed` when libav cannot read the file, `unsupported` when it holds no audio.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.survey: Survey = survey(path)
        except OSError as error:
            raise ReadError("decode_failed", "The file cannot be opened.") from error
        self._source = _Source(path, self.survey.parts[0])
        self.losses = Losses(seconds=self.survey.lost_s, shift_s=self.survey.lost_s)
        self.start: Start = self.survey.start or Start()
        self._skipped_by_libav = 0
        self.facts: StreamFacts = self._read_facts()

    def close(self) -> None:
        """Release the file."""
        self._source.close()

    @property
    def removed(self) -> int:
        """Samples that were removed in front of the music, at the file's own rate."""
        return self.start.skip + self._skipped_by_libav

    def frames(self) -> Iterator[AudioFrame]:
        """Yield the decoded frames, once; their clock is removed, because damaged files have a wrong one."""
        skip: int | None = None
        left = self.survey.samples
        for frame in self._all_frames():
            if skip is None:
                skip = self.start.skip
            samples = frame.samples
            if skip or (left is not None and samples - skip > left):
                cut = _cut(frame, skip, left)
                skip = max(0, skip - samples)
                if cut is None:
                    continue
                frame = cut  # noqa: PLW2901  what is left of it
            if left is not None:
                left -= frame.samples
            frame.pts = None
            yield frame
            if left == 0:
                return

    def longer_than(self, limit_s: float) -> float | None:
        """Return the seconds that the file really holds if they exceed a limit, without decoding them.

        Packets are counted where the header declares too much or nothing: what it declares is only a hint.
        """
        counted = self.survey.length_s
        if counted is None:
            declared = self.facts.declared_s
            if declared is not None and declared <= limit_s:
                return None
            counted = self._count(limit_s + TOLERANCE_S)
        return counted if counted > limit_s + TOLERANCE_S else None

    def _read_facts(self) -> StreamFacts:
        container, stream = self._source.container, self._source.stream
        context = stream.codec_context
        exact = self.survey.declared_s
        hint = exact or self.survey.length_s or _declared_s(container, stream)
        named = container.format.name.split(",")[0]
        is_exact = exact is not None if self.survey.estimated else named in _EXACT_FORMATS
        return StreamFacts(
            container=container.format.name if self.survey.kind != "wav" else "wav",
            codec=context.codec.canonical_name,
            decoder=context.name,
            sample_rate_hz=context.sample_rate,
            channels=context.channels,
            audio_streams=len(container.streams.audio),
            declared_s=hint,
            exact=is_exact and hint is not None,
        )

    def _all_frames(self) -> Iterator[AudioFrame]:
        for index, part in enumerate(self.survey.parts):
            if index:
                self._source.close()
                try:
                    self._source = _Source(self._path, part)
                except ReadError:
                    self.losses.parts += 1
                    continue
            yield from self._part_frames(is_first=not index)

    def _part_frames(self, *, is_first: bool) -> Iterator[AudioFrame]:
        expected_s: float | None = None
        channels = 0
        lost_s = 0.0
        for number, packet in enumerate(self._source.packets()):
            if is_first and not number:
                self._find_start(packet)
            try:
                frames = packet.decode()
            except FFmpegError:
                self.losses.packets += 1
                lost_s += _seconds(packet)
                continue
            for frame in frames:
                channels = channels or frame.layout.nb_channels
                if not frame.samples or not frame.sample_rate or _is_absurd(frame, channels):
                    continue
                if expected_s is not None:
                    yield from self._missing(frame, expected_s, lost_s)
                lost_s = 0.0
                at_s = frame.time if frame.time is not None else expected_s or 0.0
                expected_s = at_s + frame.samples / frame.sample_rate
                yield frame

    def _find_start(self, packet: "Packet[AudioStream]") -> None:
        """Take the container's word for the encoder's delay, or guess where it has none."""
        if self.survey.start is not None:
            return
        codec, rate_hz = self.facts.codec, self.facts.sample_rate_hz
        if packet.has_sidedata("skip_samples"):
            told = bytes(packet.get_sidedata("skip_samples"))
            self._skipped_by_libav = int.from_bytes(told[:4], "little")
        elif codec in USUAL and rate_hz:
            self.start = usual_start(codec, rate_hz)

    def _missing(self, frame: AudioFrame, expected_s: float, lost_s: float) -> Iterator[AudioFrame]:
        """Yield silence in place of what was lost before a frame, so that the rest keeps its place."""
        gap_s = frame.time - expected_s if frame.time is not None else 0.0
        missing_s = gap_s if gap_s > _SHORTEST_GAP_S else lost_s
        if not missing_s:
            return
        self.losses.seconds += min(missing_s, _LONGEST_GAP_S)
        samples = round(missing_s * frame.sample_rate)
        channels = frame.layout.nb_channels
        if missing_s > _LONGEST_GAP_S or not samples or channels > _MOST_PLANES:
            self.losses.shift_s += min(missing_s, _LONGEST_GAP_S)
            return
        kind = frame.to_ndarray().dtype
        shape = (channels, samples) if frame.format.is_planar else (1, samples * channels)
        yield _like(frame, np.full(shape, 128 if kind == np.uint8 else 0, kind))

    def _count(self, enough_s: float) -> float:
        """Return the seconds in the packets of all parts, or a little more than enough."""
        total = 0.0
        for part in self.survey.parts:
            try:
                source = _Source(self._path, part)
            except ReadError:
                continue
            with closing(source):
                for packet in source.packets():
                    total += _seconds(packet)
                    if total > enough_s:
                        return total
        return total


class _Source:
    """One part of a file, opened by libav."""

    def __init__(self, path: Path, part: Part) -> None:
        self._slice = FileSlice(path, part.first, part.end)
        try:
            self.container = self._open(part)
        except (FFmpegError, ValueError) as error:
            self._slice.close()
            raise ReadError(
                "decode_failed", f"The file is not audio that libav can read ({_reason(error)})."
            ) from error
        try:
            self.stream = _default_stream(self.container)
        except ReadError:
            self.close()
            raise

    def _open(self, part: Part) -> InputContainer:
        options = {"protocol_whitelist": "", "format_whitelist": f"{_FORMATS},s16le,s24le,s32le"}
        return av.open(
            self._slice, "r", format=part.format, metadata_errors="replace", options=options | part.options
        )

    def packets(self) -> Iterator["Packet[AudioStream]"]:
        """Yield the stream's packets; a file that ends in the middle of one ends before it."""
        with suppress(FFmpegError):
            yield from self.container.demux(self.stream)

    def close(self) -> None:
        self.container.close()
        self._slice.close()


def _default_stream(container: InputContainer) -> AudioStream:
    streams = container.streams.audio
    if not streams:
        raise ReadError("unsupported", "The file holds no audio stream.")
    stream = next((each for each in streams if each.disposition & Disposition.default), streams[0])
    context = stream.codec_context
    context.thread_count = 1
    context.options = _DAMAGE_CHECKS.get(context.codec.canonical_name, {})
    return stream


def _declared_s(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        seconds = container.duration / av.time_base
    else:
        return None
    return seconds if seconds >= 0 else None


def _seconds(packet: "Packet[AudioStream]") -> float:
    if packet.duration is None:
        return 0.0
    return max(0.0, float(packet.duration * packet.time_base))


def _is_absurd(frame: AudioFrame, channels: int) -> bool:
    """Whether a stream that had few channels suddenly has very many: a damaged header."""
    return frame.layout.nb_channels > max(channels, _MOST_PLANES)


def _cut(frame: AudioFrame, skip: int, left: int | None) -> AudioFrame | None:
    """Return the samples behind `skip`, at most `left` of them; None when there are none."""
    channels = frame.layout.nb_channels
    end = frame.samples if left is None else min(frame.samples, skip + left)
    if skip >= end:
        return None
    if channels > _MOST_PLANES:
        return frame
    samples = frame.to_ndarray()
    width = 1 if frame.format.is_planar else channels
    return _like(frame, np.ascontiguousarray(samples[:, skip * width : end * width]))


def _like(frame: AudioFrame, samples: Any) -> AudioFrame:
    """Return samples, shaped and typed as `to_ndarray` gives them, as a frame of the same kind."""
    made = AudioFrame.from_ndarray(samples, format=frame.format.name, layout=frame.layout.name)
    made.sample_rate = frame.sample_rate
    return made


def _reason(error: FFmpegError | ValueError) -> str:
    """Return what libav says, without the path of the file, which is private."""
    return error.strerror if isinstance(error, FFmpegError) and error.strerror else "unknown format"
