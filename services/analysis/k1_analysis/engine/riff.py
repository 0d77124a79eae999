"""The length that a WAV file's header declares.

libav derives it from the size of the file when the two disagree, which hides that a file was cut short.
"""

import struct
from pathlib import Path

_SEARCHED_BYTES = 1 << 16
_LARGEST_TRUSTED = 0x7FFF_0000
"""Recorders that do not know the length write the largest number that fits."""


def riff_seconds(path: Path) -> float | None:
    """Seconds of audio by the RIFF header, or None for another format or an unknown length."""
    with path.open("rb") as stream:
        head = stream.read(_SEARCHED_BYTES)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    bytes_per_second, at = 0, 12
    while at + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, at)
        if name == b"fmt " and at + 20 <= len(head):
            (bytes_per_second,) = struct.unpack_from("<I", head, at + 16)
        if name == b"data":
            return size / bytes_per_second if bytes_per_second and size <= _LARGEST_TRUSTED else None
        at += 8 + size + size % 2
    return None
