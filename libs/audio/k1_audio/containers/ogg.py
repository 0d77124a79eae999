"""Finds the links of a chained Ogg file: streams that follow each other, each of them a complete file.

Source: RFC 3533.
"""

from typing import Final

from k1_audio.containers.tags import Bytes

_PAGE_HEADER: Final = 27
_FIRST = 2
_MOST_PAGES: Final = 500_000
_MOST_LINKS: Final = 1000


def links(data: Bytes) -> list[tuple[int, int]]:
    """Return the first and the last byte (exclusive) of each link; one link for a file that is not chained."""
    starts: list[int] = []
    at, in_beginning = data.find(b"OggS"), False
    for _ in range(_MOST_PAGES):
        page = data[at : at + _PAGE_HEADER] if at >= 0 else b""
        if len(page) < _PAGE_HEADER or len(starts) >= _MOST_LINKS:
            break
        is_first = bool(page[5] & _FIRST)
        # Multiplexed streams begin together: only a beginning after other pages is a new link.
        if is_first and not in_beginning:
            starts.append(at)
        in_beginning = is_first
        at += _PAGE_HEADER + page[26] + sum(data[at + _PAGE_HEADER : at + _PAGE_HEADER + page[26]])
        if data[at : at + 4] != b"OggS":
            at = data.find(b"OggS", at)
    if not starts:
        return [(0, len(data))]
    return list(zip(starts, [*starts[1:], len(data)], strict=True))
