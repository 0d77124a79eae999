"""Compares two lists of beats: which beats moved, which are new, which are gone. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TOLERANCE_MS: Final = 70.0
"""Beats that are at most this far apart count as the same beat (the F-measure of mir_eval uses the same)."""
_RESOLUTION_MS: Final = 0.5
"""A beat has moved if it did by more than this; less is rounding."""


@dataclass(frozen=True, slots=True)
class BeatDiff:
    """The difference of two lists of beats; beats of both lists that are in none of these are the same."""

    moved: list[tuple[int, int, float]]
    """(index before, index after, ms later) of each beat that moved, in order."""
    added: list[int]
    """Indices after of the beats that are new."""
    removed: list[int]
    """Indices before of the beats that are gone."""


def diff_beats(
    before_ms: Sequence[float], after_ms: Sequence[float], tolerance_ms: float = TOLERANCE_MS
) -> BeatDiff:
    """Return the difference of two rising lists of beats, in ms.

    Two beats are the same if each is the nearest one to the other and they are at most `tolerance_ms` apart. So no
    beat counts twice, and the result for exchanged lists is the exchanged result.
    """
    forth, back = _nearest(before_ms, after_ms), _nearest(after_ms, before_ms)
    pairs = {
        before: after
        for before, after in enumerate(forth)
        if back[after] == before and abs(after_ms[after] - before_ms[before]) <= tolerance_ms
    }
    matched = set(pairs.values())
    shifts = ((before, after, after_ms[after] - before_ms[before]) for before, after in pairs.items())
    return BeatDiff(
        moved=[shift for shift in shifts if abs(shift[2]) > _RESOLUTION_MS],
        added=[index for index in range(len(after_ms)) if index not in matched],
        removed=[index for index in range(len(before_ms)) if index not in pairs],
    )


def _nearest(beats: Sequence[float], others: Sequence[float]) -> list[int]:
    """Return for each beat the index of the nearest one in `others`, the earlier of two; nothing if it is empty."""
    if not others:
        return []
    found: list[int] = []
    for beat in beats:
        place = bisect_left(others, beat)
        if place == len(others) or (place > 0 and beat - others[place - 1] <= others[place] - beat):
            place -= 1
        found.append(place)
    return found
