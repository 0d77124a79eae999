"""Finds the kind of an audio file by its content, also after tags and other bytes."""

from typing import Final, Literal

from k1_audio.containers import flac
from k1_audio.containers.mpeg_frames import find_start, header_at
from k1_audio.containers.signatures import Container, claimed, confirmed, is_other
from k1_audio.containers.tags import Bytes, audio_end, leading_end

Kind = Literal["mp3", "mp2"] | Container

WINDOW_BYTES: Final = 128 * 1024
"""Number of bytes after the leading tags that are needed to find the kind."""


def bytes_wanted(data: Bytes) -> int:
    """Return the number of leading bytes that `find_kind` needs; the whole file is always enough."""
    return leading_end(data) + WINDOW_BYTES


def find_kind(data: Bytes) -> Kind | None:
    """Return the kind of a file, from the whole file or the bytes that `bytes_wanted` requires."""
    at = leading_end(data)
    if container := confirmed(data, at):
        return container
    if is_other(data, at):
        return None
    stop = at + WINDOW_BYTES
    first_flac = flac.find_stream(data, 0, stop)
    first = find_start(data, at, audio_end(data))
    if first_flac is not None and (first is None or first_flac < first):
        return "flac"
    header = header_at(data, first) if first is not None else None
    if header:
        return "mp2" if header.layer == 2 else "mp3"  # noqa: PLR2004
    # A damaged file is of the kind that its first bytes claim.
    return claimed(data, at) or ("flac" if flac.find_head(data, 0, stop) is not None else None)


def find_flac(data: Bytes) -> int:
    """Return the position of a FLAC file's magic; of a damaged file, the first one."""
    at = leading_end(data)
    stop = at + WINDOW_BYTES
    if flac.is_stream(data, at):
        return at
    first = flac.find_stream(data, 0, stop)
    if first is not None:
        return first
    return at if data[at : at + 4] == flac.MAGIC else flac.find_head(data, 0, stop) or 0
