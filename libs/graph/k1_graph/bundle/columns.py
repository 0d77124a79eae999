"""Encodes columns of numbers as bytes: quantised to 8 or 4 bits, or as varint deltas of rising times."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from k1_graph.errors import BundleError

_LEVELS = 255
_NIBBLE_LEVELS = 15
_MORE = 0x80
_VARINT_MAX_BYTES = 6


def pack_unit(values: Sequence[float]) -> bytes:
    """Encode values 0..1 as u8; the quantisation step is 1/255."""
    return np.rint(np.clip(np.array(values, dtype=np.float64), 0.0, 1.0) * _LEVELS).astype(np.uint8).tobytes()


def unpack_unit(data: bytes) -> list[float]:
    return [round(value / _LEVELS, 4) for value in data]


def pack_nibbles(values: Sequence[float]) -> bytes:
    """Encode values 0..1 in 4 bits, two per byte, the first in the high half; the quantisation step is 1/15."""
    levels = np.rint(np.clip(np.array(values, dtype=np.float64), 0.0, 1.0) * _NIBBLE_LEVELS).astype(np.uint8)
    pairs = np.append(levels, np.zeros(len(levels) % 2, dtype=np.uint8)).reshape(-1, 2)
    return (pairs[:, 0] << 4 | pairs[:, 1]).tobytes()


def unpack_nibbles(data: bytes, count: int) -> list[float]:
    levels = [level for byte in data for level in (byte >> 4, byte & _NIBBLE_LEVELS)]
    return [round(level / _NIBBLE_LEVELS, 4) for level in levels[:count]]


def pack_range(values: Sequence[float]) -> dict[str, Any]:
    """Encode finite values as u8 between their extremes, each as the difference modulo 256 from the one before.

    The quantisation step is (hi - lo) / 255; the differences deflate better than the values.
    """
    column = np.array(values, dtype=np.float64)
    low, high = (float(column.min()), float(column.max())) if len(column) else (0.0, 0.0)
    levels = np.rint((column - low) / (high - low or 1.0) * _LEVELS).astype(np.uint8)
    return {"lo": low, "hi": high, "d8": np.diff(levels, prepend=np.uint8(0)).tobytes()}


def unpack_range(packed: dict[str, Any]) -> list[float]:
    low, span = packed["lo"], packed["hi"] - packed["lo"]
    levels = np.frombuffer(packed["d8"], dtype=np.uint8).cumsum(dtype=np.uint8)
    return [low + span * level / _LEVELS for level in levels.tolist()]


def pack_deltas(values: Iterable[int]) -> bytes:
    """Encode ascending whole numbers as unsigned LEB128 differences, the first from 0.

    Raises BundleError when a number is smaller than the one before.
    """
    packed = bytearray()
    last = 0
    for value in values:
        delta = value - last
        last = value
        if delta < 0:
            raise BundleError(f"A column must not fall: {value} follows {value - delta}")
        while delta >= _MORE:
            packed.append(delta & (_MORE - 1) | _MORE)
            delta >>= 7
        packed.append(delta)
    return bytes(packed)


def unpack_deltas(data: bytes) -> list[int]:
    values: list[int] = []
    total = delta = shift = 0
    for byte in data:
        delta |= (byte & (_MORE - 1)) << shift
        shift += 7
        if shift > 7 * _VARINT_MAX_BYTES:
            raise BundleError("A column of times is damaged: a number has too many bytes")
        if byte < _MORE:
            total += delta
            values.append(total)
            delta = shift = 0
    if shift:
        raise BundleError("A column of times is damaged: it ends inside a number")
    return values


def pack_times(times_ms: Sequence[float]) -> dict[str, Any]:
    """Encode rising times as {t0, step, n} if evenly spaced to 0.1 ms, else {d: deltas in tenths of a millisecond}."""
    tenths = np.rint(np.array(times_ms, dtype=np.float64) * 10.0).astype(np.int64)
    count = len(tenths)
    if count > 1:
        step = float(tenths[-1] - tenths[0]) / (count - 1)
        even = np.rint(tenths[0] + step * np.arange(count))
        if np.abs(even - tenths).max() <= 1:
            return {"t0": float(tenths[0]) / 10.0, "step": step / 10.0, "n": count}
    return {"d": pack_deltas(tenths.tolist())}


def unpack_times(packed: dict[str, Any]) -> list[float]:
    if "d" in packed:
        return [tenth / 10.0 for tenth in unpack_deltas(packed["d"])]
    return [round(packed["t0"] + packed["step"] * index, 1) for index in range(packed["n"])]
