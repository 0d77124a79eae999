"""Reads the header Range: which part of a file a client wants (RFC 9110, section 14). Pure."""

import re
from dataclasses import dataclass
from typing import Final

_BYTES: Final = re.compile(r"bytes=(\d{0,30})-(\d{0,30})", re.ASCII | re.IGNORECASE)


class UnsatisfiableRangeError(Exception):
    """The range begins behind the end of the file."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A part of a file of `size` bytes, from `first` to `last`, both included."""

    first: int
    last: int
    size: int

    @property
    def length(self) -> int:
        """Return the number of bytes."""
        return self.last - self.first + 1

    @property
    def content_range(self) -> str:
        """Return the value of the header Content-Range."""
        return f"bytes {self.first}-{self.last}/{self.size}"


def requested_range(header: str | None, if_range: str | None, tag: str, size: int) -> ByteRange | None:
    """Return the part that the client wants; None for the whole file.

    A malformed header, another unit and several ranges at once mean the whole file, as the standard allows. So does
    an `If-Range` that is not the strong tag of this content: the client's part belongs to other content.

    Raises:
        UnsatisfiableRangeError: no byte of the file is in the range.
    """
    if header is None or (if_range is not None and if_range.strip() != tag):
        return None
    match = _BYTES.fullmatch(header.strip())
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        return _suffix(int(match[2]), size)
    first, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if match[2] and last < first:
        return None
    if first >= size:
        raise UnsatisfiableRangeError
    return ByteRange(first, min(last, size - 1), size)


def _suffix(length: int, size: int) -> ByteRange:
    if length == 0 or size == 0:
        raise UnsatisfiableRangeError
    return ByteRange(max(0, size - length), size - 1, size)
