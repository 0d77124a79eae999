"""Reads the beats of a tracker module from the rows of its patterns, as they are played.

A module has no notation of beats. But its tempo is given in beats of 24 ticks, a row lasts a number of ticks, and
composers begin their bars with their patterns.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from .annotation import PieceBeats
from .openmpt import Row

TICKS_PER_BEAT: Final = 24
_MOST_EXCEPTIONS: Final = 0.1
"""Share of the patterns that may be cut short, or begin in their middle."""
_ONE_LENGTH: Final = 0.95
"""Share of the rows that have the usual number of ticks."""
_BEATS_PER_BAR: Final = (4, 3)
_SHORTEST: Final = 0.4
"""Of the usual interval: a pattern that begins sooner after a beat was cut short."""


def read_beats(rows: Sequence[Row]) -> PieceBeats | None:
    """Return the beats of a module; None if its rows do not say where they are.

    So it is if rows last differently long, as for a shuffle; if a beat is no whole number of rows; if patterns are no
    whole number of beats; and if they have neither fours nor threes of beats.
    """
    per_beat = _rows_per_beat(rows)
    if per_beat is None:
        return None
    starts = [i for i, row in enumerate(rows) if i == 0 or row.order != rows[i - 1].order]
    lengths = [end - start for start, end in pairwise(starts)]
    late = sum(rows[start].number != 0 for start in starts)
    per_bar = next((n for n in _BEATS_PER_BAR if _share(lengths, n * per_beat) >= 1 - _MOST_EXCEPTIONS), None)
    if not lengths or per_bar is None or late > _MOST_EXCEPTIONS * len(starts):
        return None
    usual = sorted(b.second - a.second for a, b in pairwise(rows))[len(rows) // 2]
    seconds: list[float] = []
    positions: list[int] = []
    for row in rows:
        if row.number % per_beat:
            continue
        if not seconds or row.second - seconds[-1] > _SHORTEST * usual * per_beat:
            seconds.append(row.second)
            positions.append(row.number // per_beat % per_bar + 1)
    return PieceBeats(tuple(seconds), tuple(positions))


def _rows_per_beat(rows: Sequence[Row]) -> int | None:
    """Return how many rows a beat has; None if it is no whole number, or not always the same."""
    if not rows:
        return None
    ((ticks, count),) = Counter(row.ticks for row in rows).most_common(1)
    if count < _ONE_LENGTH * len(rows) or ticks <= 0 or TICKS_PER_BEAT % ticks:
        return None
    return TICKS_PER_BEAT // ticks


def _share(lengths: Sequence[int], unit: int) -> float:
    """Return the share of the patterns that are a whole number of units long."""
    return sum(length % unit == 0 for length in lengths) / max(len(lengths), 1)
