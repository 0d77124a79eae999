"""Writes previews of a whole show: preview.png for people and preview.bin for players.

preview.bin, all numbers little-endian:

    0   4 bytes  "K1PV"
    4   u8       version, 1
    5   u8       flags; bit 0: the strip is symmetric, only its second half (LEDs 90 to 179) is stored
    6   u16      LEDs of the strip
    8   u16      frames a second
    10  u16      0
    12  u32      frames
    16  ...      one zlib stream (RFC 1950) of all frames

A frame is all red bytes, then all green, then all blue, each the difference modulo 256 from the frame before it; the
first from black.
"""

import struct
import zlib

import numpy as np

from k1_graph.colour import Array
from k1_graph.errors import GraphError
from k1_graph.limits import FPS, LEDS

_MAGIC = b"K1PV"
_HEADER = struct.Struct("<4sBBHHHI")
_SYMMETRIC = 1
_MAX_COLUMNS = 1800
_STREAM_LEVEL = 4
"""Of zlib. Level 6 makes the shows of three presets 3 to 7 % smaller, and takes 0.2 to 0.3 s longer for four minutes."""
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_RGB = 2


class PreviewImage:
    """Builds preview.png: x is time, y is the LED (0 at the top); a column is the mean of its frames."""

    def __init__(self, frames: int) -> None:
        self._columns = np.arange(frames) * min(frames, _MAX_COLUMNS) // frames
        self._sums = np.zeros((min(frames, _MAX_COLUMNS), LEDS, 3), dtype=np.int64)
        self._next = 0

    def feed(self, pixels: Array) -> None:
        """Add the next frames, (n, 180, 3) uint8."""
        columns = self._columns[self._next : self._next + len(pixels)]
        touched, starts = np.unique(columns, return_index=True)
        self._sums[touched] += np.add.reduceat(pixels, starts, axis=0, dtype=np.int64)
        self._next += len(pixels)

    def png(self) -> bytes:
        shares = np.bincount(self._columns)[:, None, None]
        image = (self._sums + shares // 2) // shares
        return encode_png(image.astype(np.uint8).transpose(1, 0, 2))


class PreviewStream:
    """Builds preview.bin."""

    def __init__(self, frames: int, *, symmetric: bool) -> None:
        self._first_led = LEDS // 2 if symmetric else 0
        self._last = np.zeros((1, 3, LEDS - self._first_led), dtype=np.uint8)
        self._packer = zlib.compressobj(_STREAM_LEVEL)
        flags = _SYMMETRIC if symmetric else 0
        self._parts = [_HEADER.pack(_MAGIC, 1, flags, LEDS, FPS, 0, frames)]

    def feed(self, pixels: Array) -> None:
        """Add the next frames, (n, 180, 3) uint8."""
        planes = pixels[:, self._first_led :].transpose(0, 2, 1)
        before = np.concatenate([self._last, planes[:-1]])
        self._parts.append(self._packer.compress((planes - before).tobytes()))
        self._last = planes[-1:]

    def finish(self) -> bytes:
        return b"".join([*self._parts, self._packer.flush()])


def decode_preview(data: bytes) -> Array:
    """Decode a preview.bin to pixels (frames, 180, 3). Raises GraphError when the data is invalid."""
    if len(data) < _HEADER.size:
        raise GraphError("The preview is shorter than its header")
    magic, version, flags, leds, _fps, _zero, frames = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != 1:
        raise GraphError("This is no preview.bin of version 1")
    stored = leds // 2 if flags & _SYMMETRIC else leds
    size = frames * 3 * stored
    try:
        body = zlib.decompressobj().decompress(data[_HEADER.size :], size + 1)
    except zlib.error as error:
        raise GraphError(f"The preview's frames are damaged: {error}") from error
    if len(body) != size:
        raise GraphError(f"The preview holds {len(body)} bytes of frames, its header says {size}")
    deltas = np.frombuffer(body, dtype=np.uint8).reshape(frames, 3, stored)
    pixels = deltas.cumsum(axis=0, dtype=np.uint8).transpose(0, 2, 1)
    return np.concatenate([pixels[:, ::-1], pixels], axis=1) if flags & _SYMMETRIC else pixels


def encode_png(image: Array) -> bytes:
    """Encode an 8-bit RGB image (height, width, 3) as PNG (ISO/IEC 15948), with unfiltered rows."""
    height, width, _ = image.shape
    rows = np.concatenate([np.zeros((height, 1), dtype=np.uint8), image.reshape(height, width * 3)], axis=1)
    head = struct.pack(">IIBBBBB", width, height, 8, _PNG_RGB, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 6)
    return _PNG_SIGNATURE + _png_chunk(b"IHDR", head) + _png_chunk(b"IDAT", body) + _png_chunk(b"IEND", b"")


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
