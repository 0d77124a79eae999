"""Describes what the store returns about the drift of a song, and counts plays; pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from k1_telemetry.drift.drift_figures import DriftSum

SAME_PLAY_S: Final = 5
"""Beginnings of one device that are no further apart are one play: the clocks of devices are estimates."""


@dataclass(frozen=True, slots=True)
class SectionCell:
    """The readings of one device between two edges of sections, in plays that began in the same second."""

    edge: int
    """The index of the edge before them; -1 before the first."""
    device_id: str
    began_s: int
    """When position 0 was played, in seconds since 1970."""
    drift: DriftSum


@dataclass(frozen=True, slots=True)
class DriftCells:
    """The drift of the readings of a track in a window."""

    kinds: Mapping[str, int]
    """How many readings are `joined`, of an `other_version`, `outside` or `unplaced`."""
    beats: Mapping[int, DriftSum]
    """By the index of the beat; -1 before the first."""
    sections: Sequence[SectionCell]


def count_plays(cells: Iterable[SectionCell]) -> int:
    """Return the number of plays that the cells come from."""
    begun: dict[str, set[int]] = defaultdict(set)
    for cell in cells:
        begun[cell.device_id].add(cell.began_s)
    return sum(_count_groups(sorted(times)) for times in begun.values())


def _count_groups(times: Sequence[int]) -> int:
    return 1 + sum(later - earlier > SAME_PLAY_S for earlier, later in pairwise(times))
