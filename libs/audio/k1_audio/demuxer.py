"""Opens one part of a file with libav and reads its packets.

A hostile file may crash the process, so this runs in worker processes only.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition

from k1_audio.survey import Part

# Playlists and the like would make libav open other files than the one it was given.
_FORMATS: Final = (
    "aac,ac3,adts,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,iff,loas,matroska,mov,mp3,mpc,mpc8,"
    "mpeg,mpegts,ogg,oma,rm,tak,tta,voc,w64,wav,webm,wsd,wv"
)
_ENCRYPTED: Final = frozenset({"drms", "enca"})
"""Codec tags in MP4 of encrypted audio (FairPlay, common encryption)."""
_DAMAGE_CHECKS: Final = {"flac": {"err_detect": "crccheck"}}


class ReadError(Exception):
    """The file cannot be read."""

    def __init__(self, code: Literal["decode_failed", "unsupported"], message: str) -> None:
        super().__init__(message)
        self.code: Literal["decode_failed", "unsupported"] = code


class FileSlice:
    """Gives libav `read` and `seek` within a range of a file. `close` releases the file."""

    def __init__(self, path: Path, first: int, end: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._first, self._size = first, max(0, end - first)
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end."""
        self._file.seek(self._first + self._at)
        content = self._file.read(max(0, min(size, self._size - self._at)))
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and return the new position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, min(base + offset, self._size))
        return self._at

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._at

    def close(self) -> None:
        """Release the file."""
        self._file.close()


class Demuxer:
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
        """Yield the stream's packets; an incomplete last packet is left out."""
        with suppress(FFmpegError):
            yield from self.container.demux(self.stream)

    def close(self) -> None:
        """Release the file."""
        self.container.close()
        self._slice.close()


def _default_stream(container: InputContainer) -> AudioStream:
    streams = container.streams.audio
    if not streams:
        raise ReadError("unsupported", "The file holds no audio; upload a song.")
    stream = next((each for each in streams if each.disposition & Disposition.default), streams[0])
    context = stream.codec_context
    if context.codec_tag in _ENCRYPTED:
        raise ReadError(
            "unsupported", "The file is copy-protected and cannot be decoded; use an unprotected copy."
        )
    context.thread_count = 1
    context.options = _DAMAGE_CHECKS.get(context.codec.canonical_name, {})
    return stream


def declared_s(container: InputContainer, stream: AudioStream) -> float | None:
    """Return the length in seconds that libav reads from the header or guesses."""
    if stream.duration is not None and stream.time_base is not None:
        length_s = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        length_s = container.duration / av.time_base
    else:
        return None
    return length_s if length_s >= 0 else None


def seconds(packet: "Packet[AudioStream]") -> float:
    """Return the length of a packet, 0 where it is unknown."""
    if packet.duration is None:
        return 0.0
    return max(0.0, float(packet.duration * packet.time_base))


def _reason(error: FFmpegError | ValueError) -> str:
    """Return libav's message without the path of the file, which is private."""
    return error.strerror if isinstance(error, FFmpegError) and error.strerror else "unknown format"
