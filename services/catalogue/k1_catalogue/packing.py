"""A map's curves as packed columns and back, to exactly the same JSON values. Pure.

A list of numbers becomes one byte string, a list of points with the same keys becomes an object of
byte strings, one a key. Each begins with three ASCII letters: `l` (a list) or `t` (a column of a
table), `f` or `d` (little-endian float32 or float64), and the number of decimals to which the stored
numbers are rounded on reading (`-`: not rounded). JSON has no byte strings, so nothing else looks so.

A value with few decimals, such as 0.1234 or 183250.4, is not a float32, but the float32 nearest to
it rounds back to it; where that does not hold, float64 is taken. What is not numbers stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeGuard, cast

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Json = Any
"""What `json.loads` returns, in which byte strings, arrays and tables may stand for lists."""

_MOST_DECIMALS: Final = 6
_HEADER: Final = 3
_AS_IT_IS: Final = b"-"


@dataclass(frozen=True, slots=True)
class Table:
    """A list of points as columns of one length."""

    columns: Mapping[str, FloatArray]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def take(self, rows: npt.NDArray[np.intp] | slice) -> "Table":
        """Some of the points."""
        return Table({name: column[rows] for name, column in self.columns.items()})

    def points(self) -> list[dict[str, float]]:
        """The points as JSON."""
        names = tuple(self.columns)
        columns = (column.tolist() for column in self.columns.values())
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def pack(value: Json) -> Json:
    """Replace every list of numbers or of regular points in a JSON value by packed columns."""
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
    """Packed columns as arrays and tables, the rest as it is; `expand` makes JSON of it."""
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
    """The JSON value of what `unpack` returned."""
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
    """A list of points with the same keys and only numbers as columns; None for anything else."""
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
    # `type`, not isinstance: True is an int to Python, but not to JSON.
    return bool(items) and all(type(item) in {float, int} for item in items)


def _packed(values: Sequence[float], kind: Literal[b"l", b"t"]) -> bytes | None:
    """None when the numbers do not survive, as integers of more than 53 bits do not."""
    try:
        exact = np.array(values, dtype=np.float64)
    except OverflowError:
        return None
    if exact.tolist() != list(values):
        return None
    decimals = _decimals(exact)
    if decimals is None:
        return kind + b"d" + _AS_IT_IS + exact.astype("<f8").tobytes()
    narrow = exact.astype("<f4").tobytes()
    packed = kind + b"f" + str(decimals).encode() + narrow
    if np.array_equal(_unpacked(packed), exact):
        return packed
    return kind + b"d" + _AS_IT_IS + exact.astype("<f8").tobytes()


def _decimals(exact: FloatArray) -> int | None:
    """The fewest decimals that the numbers have; None when they have many, or are not finite."""
    if not np.all(np.abs(exact) < 2.0**31):
        return None
    for decimals in range(_MOST_DECIMALS + 1):
        if np.array_equal(np.round(exact, decimals), exact):
            return decimals
    return None


def _unpacked(data: bytes) -> FloatArray:
    _, kind, decimals = data[0:1], data[1:2], data[2:3]
    stored = np.frombuffer(data, dtype="<f4" if kind == b"f" else "<f8", offset=_HEADER)
    numbers = stored.astype(np.float64)
    return numbers if decimals == _AS_IT_IS else np.round(numbers, int(decimals))
