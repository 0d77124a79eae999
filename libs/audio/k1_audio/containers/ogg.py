"""Finds the links of a chained Ogg file: streams that follow each other, each of them a complete file.

Source: RFC 3533.
"""

import re
from typing import Final

from k1_audio.containers.tags import Bytes

_PAGE_HEADER: Final = 27
_FIRST = 2
_MOST_PAGES: Final = 500_000
_MOST_LINKS: Final = 1000
_PAGE: Final = re.compile(rb"OggS\0[\0-\7].{21}", re.DOTALL)
"""A page's header: the magic, version 0, and no flags that do not exist."""


def links(data: Bytes) -> list[tuple[int, int]]:
    """Return the first and the last byte (exclusive) of each link; one link for a file that is not chained."""
    starts: list[int] = []
    at, in_beginning = _first_page(data), False
    for _ in range(_MOST_PAGES):
        page = data[at : at + _PAGE_HEADER] if at >= 0 else b""
        if len(page) < _PAGE_HEADER or len(starts) >= _MOST_LINKS:
            break
        is_first = bool(page[5] & _FIRST)
        # Multiplexed streams begin together: only a beginning after other pages is a new link.
        if is_first and not in_beginning:
            starts.append(at)
        in_beginning = is_first
        at = _page_end(data, at)
        # A page right after another one is a page, even if its header is damaged.
        if data[at : at + 4] != b"OggS":
            at = _find_page(data, at)
    if not starts:
        return [(0, len(data))]
    return list(zip(starts, [*starts[1:], len(data)], strict=True))


def is_stream(data: Bytes, at: int) -> bool:
    """Return whether a page stands here, and another page or the end of the data follows it."""
    if not _PAGE.match(data[at : at + _PAGE_HEADER]):
        return False
    end = _page_end(data, at)
    return end >= len(data) or bool(_PAGE.match(data[end : end + _PAGE_HEADER]))


def _page_end(data: Bytes, at: int) -> int:
    """Return one past the last byte of the page that begins here."""
    table = at + _PAGE_HEADER
    segments = data[at + _PAGE_HEADER - 1]
    return table + segments + sum(data[table : table + segments])


def _first_page(data: Bytes) -> int:
    """Return the position of the first page, -1 if there is none.

    The magic before a page that begins a stream is no page; before another page it is that of a damaged beginning.
    """
    magic, page = data.find(b"OggS"), _find_page(data, 0)
    return page if page >= 0 and data[page + 5] & _FIRST else magic


def _find_page(data: Bytes, at: int) -> int:
    """Return the position of the next page, -1 if there is none."""
    match = _PAGE.search(data, at)
    return match.start() if match else -1
