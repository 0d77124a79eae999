"""Parses MPEG audio frames, layers II and III: headers, chains of frames, and the first true frame of a file.

Source: ISO/IEC 11172-3 and 13818-3, frame header.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final

from k1_audio.containers.tags import Bytes, leading_end

SEARCHED_BYTES: Final = 1 << 20
"""Number of bytes in which the first frame is searched."""
_CHAIN: Final = 6
"""Number of consecutive frames that prove a stream: false sync words form pairs, not rows."""
_MOST_CANDIDATES: Final = 200_000
_SYNC: Final = re.compile(rb"\xff[\xf2-\xf5\xfa-\xfd\xe2-\xe5][\x10-\xeb]", re.DOTALL)
_ZEROS: Final = re.compile(rb"\0*")
_KBITS: Final = {
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ: Final = (44_100, 48_000, 32_000)
_DIVISORS: Final = {3: 1, 2: 2, 0: 4}
_LAYERS: Final = {1: 3, 2: 2}
_MONO: Final = 3
_HEADER: Final = 4


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """The content of a frame header."""

    version: int
    """1, or 2 for MPEG-2 and MPEG-2.5."""
    layer: int
    rate_hz: int
    mono: bool
    protected: bool
    """Two bytes of CRC follow the header."""
    samples: int
    length: int
    """Bytes, header included."""

    def continues(self, other: "FrameHeader") -> bool:
        """Return whether both can be frames of one stream."""
        return (self.version, self.layer, self.rate_hz, self.mono) == (
            other.version,
            other.layer,
            other.rate_hz,
            other.mono,
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame and its position."""

    at: int
    header: FrameHeader

    @property
    def end(self) -> int:
        return self.at + self.header.length


def header_at(data: Bytes, at: int) -> FrameHeader | None:
    """Return the frame header at this position, None if there is none."""
    return _header(data[at : at + _HEADER])


@lru_cache(maxsize=4096)
def _header(head: bytes) -> FrameHeader | None:
    if len(head) < _HEADER or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:  # noqa: PLR2004  eleven sync bits
        return None
    divisor, layer = _DIVISORS.get(head[1] >> 3 & 3), _LAYERS.get(head[1] >> 1 & 3)
    kbits_index, rate_index, reserved_emphasis = head[2] >> 4, head[2] >> 2 & 3, head[3] & 3 == 2  # noqa: PLR2004
    # Index 0 is "free format", whose length is not in the header.
    if divisor is None or layer is None or not 0 < kbits_index < 15 or rate_index > 2 or reserved_emphasis:  # noqa: PLR2004
        return None
    version = 1 if divisor == 1 else 2
    rate_hz = _RATES_HZ[rate_index] // divisor
    samples = 576 if (version, layer) == (2, 3) else 1152
    length = samples // 8 * _KBITS[version, layer][kbits_index] * 1000 // rate_hz + (head[2] >> 1 & 1)
    return FrameHeader(version, layer, rate_hz, head[3] >> 6 == _MONO, not head[1] & 1, samples, length)


def consecutive_frames(data: Bytes, at: int, end: int) -> Iterator[Frame]:
    """Yield the frames that follow each other without a gap from here; the last may be cut off at `end`."""
    first = header_at(data, at)
    header = first
    while first is not None and header is not None and at + _HEADER <= end and header.continues(first):
        yield Frame(at, header)
        at += header.length
        header = header_at(data, at)


def is_stream(data: Bytes, at: int, end: int) -> bool:
    """Return whether a row of frames begins here that is long enough for a stream, or ends with the data."""
    row = list(islice(consecutive_frames(data, at, end), _CHAIN))
    return len(row) == _CHAIN or (len(row) > 1 and row[-1].end >= end)


def candidates(data: Bytes, start: int, stop: int) -> Iterator[Frame]:
    """Yield everything in a range that looks like a frame, true or not."""
    for match in _SYNC.finditer(data, start, stop):
        if header := header_at(data, match.start()):
            yield Frame(match.start(), header)


def find_first(data: Bytes, start: int, end: int) -> int | None:
    """Return where the first true frame begins, at `start` or at most SEARCHED_BYTES after it."""
    for tried, match in enumerate(_SYNC.finditer(data, start, min(end, start + SEARCHED_BYTES))):
        if tried >= _MOST_CANDIDATES:
            break
        if is_stream(data, match.start(), end):
            return match.start()
    return None


def find_start(data: Bytes, tags_end: int, end: int) -> int | None:
    """Return the first true frame of a file whose tags claim to end at `tags_end`.

    A tag with a wrong size ends in the middle of the music: then a row of frames begins inside the tag and runs
    across its end.
    """
    exact = _after_zeros(data, tags_end, end)
    if tags_end == 0 or is_stream(data, exact, end):
        return find_first(data, exact, end)
    inside = find_first(data, 1, end)
    if inside is not None and (not inside < tags_end < end or _reaches(data, inside, tags_end, end)):
        return inside
    return find_first(data, tags_end, end)


def _after_zeros(data: Bytes, at: int, end: int) -> int:
    """Return the position after the zeros that tagging programs leave."""
    stop = min(end, at + SEARCHED_BYTES)
    match = _ZEROS.match(data, at, stop)
    return match.end() if match else at


def _reaches(data: Bytes, at: int, goal: int, end: int) -> bool:
    return any(frame.end >= goal for frame in consecutive_frames(data, at, end))


def frames(data: Bytes, first: int, end: int) -> Iterator[Frame]:
    """Yield every frame from the first one on, across damage."""
    kind = header_at(data, first)
    at, searched = first, 0
    while kind is not None and at < end:
        for frame in consecutive_frames(data, at, end):
            yield frame
            at = frame.end
        at = leading_end(data, at)
        for match in _SYNC.finditer(data, at, end):
            searched += 1
            header = header_at(data, match.start())
            if header and header.continues(kind) and is_stream(data, match.start(), end):
                at = match.start()
                break
            if searched > _MOST_CANDIDATES:
                return
        else:
            return
