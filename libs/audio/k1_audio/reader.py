"""Decodes the frames of a file with libav, from the first true one on, without the encoder's delay.

A hostile file may crash the process, so this runs in worker processes only.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet

from k1_audio.containers.tags import leading_end
from k1_audio.demuxer import Demuxer, ReadError, declared_s, seconds
from k1_audio.encoder_delay import MusicStart, has_delay, typical_start
from k1_audio.frames import MOST_PLANES, cut, silence
from k1_audio.survey import Survey, survey

__all__ = ["TOLERANCE_S", "AudioReader", "Losses", "ReadError", "StreamInfo"]

TOLERANCE_S: Final = 1.0
"""A file may be this much longer than a limit: encoders pad their last frame."""
_EXACT_FORMATS: Final = frozenset(
    {"aiff", "ape", "au", "caf", "flac", "matroska", "mov", "tak", "tta", "w64", "wav", "wv"}
)
"""Containers whose declared length was counted by the program that wrote it."""
_SHORTEST_GAP_S: Final = 0.06
"""Clocks jitter by less: Vorbis counts the samples of long and short blocks unevenly."""
_SHORTEST_EXACT_GAP_S: Final = 0.002
_EXACT_CLOCKS: Final = frozenset({"flac", "alac"})
"""Codecs whose frames are short and whose clocks count samples: many small gaps add up."""
_SHORTEST_MISSING_END_S: Final = 0.5
_LONGEST_GAP_S: Final = 10.0
"""A clock that jumps further is wrong, because no such long piece of music is missing."""


@dataclass(slots=True)
class Losses:
    """The parts of a file that could not be decoded."""

    packets: int = 0
    """Packets that the decoder refused."""
    seconds: float = 0.0
    """Their length, and that of the gaps in the stream's clock. Silence replaces them."""
    shift_s: float = 0.0
    """Seconds that are lost without a replacement, so that the following audio is too early."""
    parts: int = 0
    """Links of a chained stream that could not be opened."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Container, codec and format of the first part's stream."""

    container: str
    codec: str
    """libav's canonical name."""
    decoder: str
    sample_rate_hz: int
    channels: int
    audio_streams: int
    declared_s: float | None
    """A hint, and never a reason to refuse a file."""
    exact: bool
    """Whether the program that wrote `declared_s` had counted."""


class AudioReader:
    """Reads one file; use it with `closing`.

    Raises:
        ReadError: `decode_failed` when libav cannot read the file, `unsupported` when it holds no audio.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.survey: Survey = survey(path)
        except OSError as error:
            raise ReadError("decode_failed", "The file cannot be opened.") from error
        self._source = Demuxer(path, self.survey.parts[0])
        self.losses = Losses(seconds=self.survey.lost_s, shift_s=self.survey.lost_s)
        self.start: MusicStart = self.survey.start or MusicStart()
        self._skipped_by_libav = 0
        self.stream_info: StreamInfo = self._read_stream_info()

    def close(self) -> None:
        """Release the file."""
        self._source.close()

    @property
    def removed(self) -> int:
        """Return the number of samples removed before the music, at the file's own rate."""
        return self.start.skip + self._skipped_by_libav

    def frames(self) -> Iterator[AudioFrame]:
        """Yield the decoded frames, once; their clock is removed, because damaged files have a wrong one."""
        left = self.survey.samples
        skip: int | None = None
        for frame in self._all_frames():
            skip = self.start.skip if skip is None else skip
            piece = cut(frame, skip, left)
            skip = max(0, skip - frame.samples)
            if piece is None:
                continue
            left = None if left is None else left - piece.samples
            piece.pts = None
            yield piece
            if left == 0:
                return

    def is_longer_than(self, limit_s: float) -> bool:
        """Return whether the file really holds more than a limit plus TOLERANCE_S, without decoding it.

        Packets are counted if the header declares too much or nothing, because the header is only a hint.
        """
        length_s = self.survey.length_s
        if length_s is None:
            declared = self.stream_info.declared_s
            if declared is not None and declared <= limit_s:
                return False
            length_s = self._count(limit_s + TOLERANCE_S)
        return length_s > limit_s + TOLERANCE_S

    def _read_stream_info(self) -> StreamInfo:
        container, stream = self._source.container, self._source.stream
        context = stream.codec_context
        exact = self.survey.declared_s
        hint = exact or self.survey.length_s or declared_s(container, stream)
        named = container.format.name.split(",")[0]
        is_exact = exact is not None if self.survey.estimated else named in _EXACT_FORMATS
        if stream.duration is None and len(container.streams) > 1:
            is_exact = False  # The container's length is that of its longest stream, such as a video.
        return StreamInfo(
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
                    self._source = Demuxer(self._path, part)
                except ReadError:
                    self.losses.parts += 1
                    continue
            yield from self._part_frames(is_first=not index)

    def _part_frames(self, *, is_first: bool) -> Iterator[AudioFrame]:
        expected_s: float | None = None
        end_s = 0.0
        channels = 0
        lost_s = 0.0
        for number, packet in enumerate(self._source.packets()):
            if is_first and not number:
                self._find_start(packet)
            if packet.pts is not None:
                end_s = max(end_s, float(packet.pts * packet.time_base) + seconds(packet))
            try:
                frames = packet.decode()
            except FFmpegError:
                if leading_end(bytes(packet)):
                    continue  # A tag between joined songs is not audio.
                self.losses.packets += 1
                lost_s += seconds(packet)
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
        self._count_missing_end(end_s - (expected_s or 0.0), lost_s, expected_s or 0.0)

    def _count_missing_end(self, missing_s: float, lost_s: float, reached_s: float) -> None:
        """Count losses after the last frame: packets without sound, and Ogg pages after a hole too long for libav."""
        stream = self._source.stream
        if self.survey.kind == "ogg" and stream.duration is not None and stream.time_base is not None:
            # The clock of the last page, independent of that of the first.
            missing_s = max(missing_s, float(stream.duration * stream.time_base) - reached_s)
        if missing_s > _SHORTEST_MISSING_END_S:
            # A damaged clock may hold any value.
            lost_s = min(missing_s, self.stream_info.declared_s or _LONGEST_GAP_S)
        self.losses.seconds += lost_s

    def _find_start(self, packet: "Packet[AudioStream]") -> None:
        """Read the encoder's delay from the container, or guess it."""
        if self.survey.start is not None:
            return
        codec, rate_hz = self.stream_info.codec, self.stream_info.sample_rate_hz
        if packet.has_sidedata("skip_samples"):
            skip = bytes(packet.get_sidedata("skip_samples"))
            self._skipped_by_libav = int.from_bytes(skip[:4], "little")
        elif rate_hz and has_delay(codec, lossy=self._source.stream.codec_context.codec.lossy):
            self.start = typical_start(codec, rate_hz)

    def _missing(self, frame: AudioFrame, expected_s: float, lost_s: float) -> Iterator[AudioFrame]:
        """Yield silence for audio that was lost before a frame, so that the rest keeps its time."""
        gap_s = frame.time - expected_s if frame.time is not None else 0.0
        exact = self.stream_info.codec in _EXACT_CLOCKS
        missing_s = gap_s if gap_s > (_SHORTEST_EXACT_GAP_S if exact else _SHORTEST_GAP_S) else lost_s
        if not missing_s:
            return
        self.losses.seconds += min(missing_s, _LONGEST_GAP_S)
        samples = round(missing_s * frame.sample_rate)
        if missing_s > _LONGEST_GAP_S or not samples or frame.layout.nb_channels > MOST_PLANES:
            self.losses.shift_s += min(missing_s, _LONGEST_GAP_S)
            return
        yield silence(frame, samples)

    def _count(self, enough_s: float) -> float:
        """Return the seconds in the packets of all parts; stop soon after `enough_s`."""
        total = 0.0
        for part in self.survey.parts:
            try:
                source = Demuxer(self._path, part)
            except ReadError:
                continue
            with closing(source):
                for packet in source.packets():
                    total += seconds(packet)
                    if total > enough_s:
                        return total
        return total


def _is_absurd(frame: AudioFrame, channels: int) -> bool:
    """Return whether a stream that had few channels suddenly has very many, as with a damaged header."""
    return frame.layout.nb_channels > max(channels, MOST_PLANES)
