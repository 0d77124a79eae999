"""Finds the tags around the audio: ID3v2 and APE before it; ID3v1, Lyrics3, APE and ID3v2 after it.

Sources: id3.org (ID3v2.4 structure, Lyrics3 v2), wiki.hydrogenaud.io (APEv2 specification).
"""

from mmap import mmap
from typing import Final, TypeAlias

Bytes: TypeAlias = bytes | mmap
"""A whole file, or its beginning."""

_ID3_HEADER: Final = 10
_APE_HEADER: Final = 32
_APE_HAS_HEADER: Final = 0x8000_0000
_ID3V1_BYTES: Final = 128
_LYRICS_END: Final = 15
"""Six digits and LYRICS200."""
_LONGEST_LYRICS: Final = 1 << 20
_MOST_TAGS: Final = 16
_LONGEST_ICY: Final = 16 * 1024


def leading_end(data: Bytes, start: int = 0) -> int:
    """Return where the tags that begin at `start` end; this may be beyond the data if they are longer."""
    at = start
    for _ in range(_MOST_TAGS):
        length = _id3_length(data, at) or _ape_length(data, at) or _icy_length(data, at)
        if not length:
            break
        at += length
    return at


def audio_end(data: Bytes) -> int:
    """Return where the tags after the audio begin."""
    end = len(data)
    for _ in range(_MOST_TAGS):
        length = _trailing_length(data, end)
        if not length or length > end:
            break
        end -= length
    return end


def _id3_length(data: Bytes, at: int) -> int:
    head = data[at : at + _ID3_HEADER]
    if len(head) < _ID3_HEADER or head[:3] != b"ID3" or head[3] == 0xFF or max(head[6:]) > 0x7F:  # noqa: PLR2004
        return 0
    has_footer = bool(head[5] & 0x10)
    return _ID3_HEADER * (1 + has_footer) + _syncsafe(head[6:])


def _syncsafe(digits: bytes) -> int:
    return digits[0] << 21 | digits[1] << 14 | digits[2] << 7 | digits[3]


def _ape_length(data: Bytes, at: int) -> int:
    head = data[at : at + _APE_HEADER]
    if len(head) < _APE_HEADER or head[:8] != b"APETAGEX":
        return 0
    # The size counts the items and the footer, not this header.
    return _APE_HEADER + int.from_bytes(head[12:16], "little")


def _icy_length(data: Bytes, at: int) -> int:
    """Return the length of the headers that a SHOUTcast recorder wrote into the file."""
    if data[at : at + 4] != b"ICY ":
        return 0
    end = data.find(b"\r\n\r\n", at, at + _LONGEST_ICY)
    return end + 4 - at if end >= 0 else 0


def _trailing_length(data: Bytes, end: int) -> int:
    if data[max(0, end - _ID3V1_BYTES) : end][:3] == b"TAG":
        return _ID3V1_BYTES
    if data[max(0, end - 9) : end] == b"LYRICS200":
        digits = data[end - _LYRICS_END : end - 9]
        length = int(digits) + _LYRICS_END if digits.isdigit() else 0
        return length if length < _LONGEST_LYRICS else 0
    footer = data[max(0, end - _APE_HEADER) : end]
    if footer[:8] == b"APETAGEX":
        with_header = bool(int.from_bytes(footer[20:24], "little") & _APE_HAS_HEADER)
        return int.from_bytes(footer[12:16], "little") + _APE_HEADER * with_header
    footer = data[max(0, end - _ID3_HEADER) : end]
    if footer[:3] == b"3DI" and max(footer[6:], default=0x80) <= 0x7F:  # noqa: PLR2004
        return 2 * _ID3_HEADER + _syncsafe(footer[6:])
    return _appended_id3(data, end)


def _appended_id3(data: Bytes, end: int) -> int:
    """Return the length of an ID3v2 tag without a footer that ends exactly here."""
    start = data.rfind(b"ID3", max(1, end - (1 << 20)), end)
    return end - start if start > 0 and _id3_length(data, start) == end - start else 0
