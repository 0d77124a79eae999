"""Finds the start of a FLAC stream: the magic, STREAMINFO, further metadata blocks, and the first frame.

The bytes of the magic may also occur before the stream, so the start is where the blocks lead to a frame.

Source: RFC 9639, sections 8.1, 8.2 and 9.1.
"""

import re
from itertools import islice
from typing import Final

from k1_audio.containers.tags import Bytes

MAGIC: Final = b"fLaC"
_BLOCK_HEADER: Final = 4
_STREAMINFO: Final = 0
_STREAMINFO_BYTES: Final = 34
_LAST_KIND: Final = 6
"""The picture; greater numbers are reserved or forbidden."""
_SMALLEST_BLOCK: Final = 16
_FEWEST_BITS: Final = 4
_MOST_BLOCKS: Final = 128
_MOST_CANDIDATES: Final = 1000
_HEAD: Final = re.compile(rb"fLaC[\x00\x80]\0\0\x22")
"""The magic and the header of STREAMINFO, which may be the last block."""
_USUAL_HEAD: Final = b"fLaC\0\0\0\x22"
_FRAME_SYNCS: Final = frozenset({b"\xff\xf8", b"\xff\xf9"})


def find_stream(data: Bytes, start: int, stop: int) -> int | None:
    """Return the first position in a range where a whole beginning of a stream stands; None if there is none."""
    heads = islice(_HEAD.finditer(data, start, stop), _MOST_CANDIDATES)
    return next((head.start() for head in heads if is_stream(data, head.start())), None)


def find_head(data: Bytes, start: int, stop: int) -> int | None:
    """Return the first position in a range that looks like the beginning of a damaged stream; None without one."""
    at = data.find(_USUAL_HEAD, start, stop)
    return at if at >= 0 else None


def is_stream(data: Bytes, at: int) -> bool:
    """Return whether the magic, a possible STREAMINFO, and blocks up to a frame or the end of the data stand here."""
    if not _HEAD.match(data[at : at + len(MAGIC) + _BLOCK_HEADER]):
        return False
    at += len(MAGIC)
    if not _is_possible(data[at + _BLOCK_HEADER : at + _BLOCK_HEADER + _STREAMINFO_BYTES]):
        return False
    for number in range(_MOST_BLOCKS):
        header = data[at : at + _BLOCK_HEADER]
        if len(header) < _BLOCK_HEADER:
            return True
        kind, is_last = header[0] & 0x7F, header[0] >> 7
        if kind > _LAST_KIND or (kind == _STREAMINFO) != (number == 0):
            return False
        at += _BLOCK_HEADER + int.from_bytes(header[1:], "big")
        if is_last:
            return at + 1 >= len(data) or data[at : at + 2] in _FRAME_SYNCS
    return False


def _is_possible(streaminfo: bytes) -> bool:
    """Return whether the fields of STREAMINFO are in their ranges, if they are in the data."""
    if len(streaminfo) < _STREAMINFO_BYTES:
        return True
    smallest_block, largest_block = _number(streaminfo, 0, 2), _number(streaminfo, 2, 4)
    smallest_frame, largest_frame = _number(streaminfo, 4, 7), _number(streaminfo, 7, 10)
    rate_hz, bits = _number(streaminfo, 10, 13) >> 4, (_number(streaminfo, 12, 14) >> 4 & 31) + 1
    return (
        _SMALLEST_BLOCK <= smallest_block <= largest_block
        and (not largest_frame or smallest_frame <= largest_frame)
        and rate_hz > 0
        and bits >= _FEWEST_BITS
    )


def _number(content: bytes, first: int, end: int) -> int:
    return int.from_bytes(content[first:end], "big")
