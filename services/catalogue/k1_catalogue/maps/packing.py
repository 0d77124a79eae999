"""Packs the curves of a map into columns of bytes, and unpacks them to exactly the same JSON values. Pure.

A list of numbers becomes one byte string. A list of points with the same keys becomes an object of byte strings, one
for each key. Each byte string begins with three ASCII characters: `l` (a list) or `t` (a column of a table), `f` or
`d` (little-endian float32 or float64), and the number of decimals to which the stored numbers are rounded on reading
(`-`: not rounded). JSON has no byte strings, so packed columns cannot be confused with other values.

A value with few decimals, such as 0.1234 or 183250.4, is not a float32, but the nearest float32 rounds back to it.
Where it does not, float64 is used. Other values are not changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeGuard, cast

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Json = Any
"""A value as `json.loads` returns it, but byte strings, arrays and tables may replace lists."""

_MAX_DECIMALS: Final = 6
_HEADER_LENGTH: Final = 3
_NOT_ROUNDED: Final = b"-"


@dataclass(frozen=True, slots=True)
class Table:
    """A list of points as columns of equal length."""

    columns: Mapping[str, FloatArray]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def take(self, rows: npt.NDArray[np.intp] | slice) -> "Table":
        """Return the table of some of the points."""
        return Table({name: column[rows] for name, column in self.columns.items()})

    def points(self) -> list[dict[str, float]]:
        """Return the points as a JSON value."""
        names = tuple(self.columns)
        columns = (column.tolist() for column in self.columns.values())
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def pack(value: Json) -> Json:
    """Return a JSON value with packed columns in place of lists of numbers and of points with equal keys."""
    if isinstance(value, dict):
        members = cast("dict[str, Json]", value)
        return {name: pack(member) for name, member in members.items()}
    if not isinstance(value, list):
        return value
    items = cast("list[Json]", value)
    if _are_numbers(items):
        return _packed(items, b"l") or items
    table = _packed_table(items)
    return [pack(item) for item in items] if table is None else table


def unpack(value: Json) -> Json:
    """Return the value with arrays and tables in place of packed columns; `expand` turns it into JSON."""
    if isinstance(value, bytes):
        return _unpacked(value)
    if isinstance(value, dict):
        members = cast("dict[str, Json]", value)
        if members and all(isinstance(m, bytes) and m[:1] == b"t" for m in members.values()):
            return Table({name: _unpacked(member) for name, member in members.items()})
        return {name: unpack(member) for name, member in members.items()}
    if isinstance(value, list):
        return [unpack(item) for item in cast("list[Json]", value)]
    return value


def expand(value: Json) -> Json:
    """Return the JSON value of a value from `unpack`."""
    if isinstance(value, Table):
        return value.points()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {name: expand(member) for name, member in cast("dict[str, Json]", value).items()}
    if isinstance(value, list):
        return [expand(item) for item in cast("list[Json]", value)]
    return value


def as_table(points: Json) -> Table | None:
    """Return a list of points with the same keys and only numbers as a table; None for any other value."""
    if isinstance(points, Table):
        return points
    columns = _columns(points) if isinstance(points, list) else None
    if columns is None:
        return None
    return Table({name: np.array(column, dtype=np.float64) for name, column in columns.items()})


def _columns(items: Sequence[Json]) -> dict[str, list[float]] | None:
    first = items[0] if items else None
    if not isinstance(first, dict) or not first:
        return None
    names = tuple(cast("dict[str, Json]", first))
    if not all(isinstance(item, dict) and len(item) == len(names) for item in items):
        return None
    try:
        columns = {name: [item[name] for item in items] for name in names}
    except KeyError:
        return None
    return columns if all(_are_numbers(column) for column in columns.values()) else None


def _packed_table(items: Sequence[Json]) -> dict[str, bytes] | None:
    columns = _columns(items)
    if columns is None:
        return None
    packed = {name: _packed(column, b"t") for name, column in columns.items()}
    return None if None in packed.values() else cast("dict[str, bytes]", packed)


def _are_numbers(items: Sequence[Json]) -> TypeGuard[Sequence[float]]:
    # `type`, not isinstance: in Python True is an int, in JSON it is not a number.
    return bool(items) and all(type(item) in {float, int} for item in items)


def _packed(values: Sequence[float], kind: Literal[b"l", b"t"]) -> bytes | None:
    """Return the packed column; None if packing would change the numbers, such as integers of more than 53 bits."""
    try:
        exact = np.array(values, dtype=np.float64)
    except OverflowError:
        return None
    if exact.tolist() != list(values):
        return None
    decimals = _decimals(exact)
    if decimals is None:
        return kind + b"d" + _NOT_ROUNDED + exact.astype("<f8").tobytes()
    narrow = exact.astype("<f4").tobytes()
    packed = kind + b"f" + str(decimals).encode() + narrow
    if np.array_equal(_unpacked(packed), exact):
        return packed
    return kind + b"d" + _NOT_ROUNDED + exact.astype("<f8").tobytes()


def _decimals(exact: FloatArray) -> int | None:
    """Return the number of decimals that the numbers need; None if they need too many or are not finite."""
    if not np.all(np.abs(exact) < 2.0**31):
        return None
    for decimals in range(_MAX_DECIMALS + 1):
        if np.array_equal(np.round(exact, decimals), exact):
            return decimals
    return None


def _unpacked(data: bytes) -> FloatArray:
    _, kind, decimals = data[0:1], data[1:2], data[2:3]
    stored = np.frombuffer(data, dtype="<f4" if kind == b"f" else "<f8", offset=_HEADER_LENGTH)
    numbers = stored.astype(np.float64)
    return numbers if decimals == _NOT_ROUNDED else np.round(numbers, int(decimals))
