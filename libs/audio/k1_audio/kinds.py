"""Finds the kind of an audio file by its content, also after tags and other bytes."""

from typing import Final, Literal

from k1_audio.containers.mpeg_frames import find_start, header_at
from k1_audio.containers.tags import Bytes, audio_end, leading_end

Kind = Literal["mp3", "mp2", "wav", "flac", "ogg", "m4a", "aiff", "adts"]

WINDOW_BYTES: Final = 128 * 1024
"""Number of bytes after the leading tags that are needed to find the kind."""
_WAV_MAGICS: Final = frozenset({b"RIFF", b"RF64", b"BW64"})
_MAGICS: Final[dict[bytes, Kind]] = {b"fLaC": "flac", b"OggS": "ogg"}
_FLAC: Final = b"fLaC\x00\x00\x00\x22"
"""The magic and the header of the block that comes first, with its fixed length."""
_ADTS_SYNC: Final = 0xFFF0
_OTHERS: Final = frozenset(
    # These may contain consecutive MP3 frames.
    {b"RIFF", b"FORM", b"PK\x03\x04", b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75", b"%PDF", b"\x7fELF", b"MThd"}
)
"""First bytes of files without audio, or with audio that only libav finds."""


def bytes_wanted(data: Bytes) -> int:
    """Return the number of leading bytes that `find_kind` needs; the whole file is always enough."""
    return leading_end(data) + WINDOW_BYTES


def find_kind(data: Bytes) -> Kind | None:
    """Return the kind of a file, from the whole file or the bytes that `bytes_wanted` requires."""
    at = leading_end(data)
    kind = _by_magic(data[at : at + 12])
    if kind or (kind := _by_magic(data[:12])):
        return kind
    if data[at : at + 4] in _OTHERS:
        return None
    flac = data.find(_FLAC, 0, at + WINDOW_BYTES)
    first = find_start(data, at, audio_end(data))
    if flac >= 0 and (first is None or flac < first):
        return "flac"
    header = header_at(data, first) if first is not None else None
    return None if header is None else "mp2" if header.layer == 2 else "mp3"  # noqa: PLR2004


def find_flac(data: Bytes) -> int:
    """Return the position of a FLAC file's magic."""
    at = leading_end(data)
    return at if data[at : at + 4] == b"fLaC" else max(0, data.find(_FLAC, 0, at + WINDOW_BYTES))


def _by_magic(head: bytes) -> Kind | None:
    if head[:4] in _WAV_MAGICS and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return "aiff"
    if head[4:8] == b"ftyp":
        return "m4a"
    # Layer 0 does not exist in MPEG-1 and 2 audio: ADTS uses the same sync word with it.
    if len(head) > 1 and int.from_bytes(head[:2], "big") & 0xFFF6 == _ADTS_SYNC:
        return "adts"
    return _MAGICS.get(head[:4])
