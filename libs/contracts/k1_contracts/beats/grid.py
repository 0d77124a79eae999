"""The beats and downbeats of a song as a value, with its tempo and metre."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, Self

TIME_DIGITS: Final = 1
"""Beats are rounded to 0.1 ms, as in the Genesis map."""
USUAL_BEATS_PER_BAR: Final = 4
_TEMPO_BEATS: Final = 8
_MINUTE_MS: Final = 60_000.0


@dataclass(frozen=True, slots=True)
class BeatGrid:
    """Beats in ms, rising, and the indices of those that begin a bar, rising."""

    beats_ms: tuple[float, ...]
    downbeats: tuple[int, ...]

    @classmethod
    def of(cls, beats_ms: Iterable[float], downbeats: Iterable[int]) -> Self:
        """Return the grid with its times rounded."""
        return cls(tuple(round_ms(time) for time in beats_ms), tuple(downbeats))

    @property
    def downbeat_ms(self) -> list[float]:
        """Return the times of the downbeats."""
        return [self.beats_ms[index] for index in self.downbeats]

    @property
    def bpm(self) -> float:
        """Return the tempo: the median over eight beats at a time; 0 without an interval."""
        beats = self.beats_ms
        count = min(_TEMPO_BEATS, len(beats) - 1)
        if count < 1:
            return 0.0
        spans = (late - early for early, late in zip(beats, beats[count:], strict=False))
        return _MINUTE_MS * count / median(spans)

    @property
    def beats_per_bar(self) -> int:
        """Return the usual number of beats from one downbeat to the next; 4 where fewer than two bars begin."""
        lengths = Counter(late - early for early, late in pairwise(self.downbeats))
        return lengths.most_common(1)[0][0] if lengths else USUAL_BEATS_PER_BAR

    def bar_length_at(self, index: int) -> int:
        """Return the number of beats of the bar in which a beat stands; that of the bar before in the last bar."""
        bar = bisect_left(self.downbeats, index + 1)
        if len(self.downbeats) < 2:  # noqa: PLR2004  a bar has two ends
            return USUAL_BEATS_PER_BAR
        bar = min(max(bar, 1), len(self.downbeats) - 1)
        return self.downbeats[bar] - self.downbeats[bar - 1]


def round_ms(time_ms: float) -> float:
    """Return a time as the map has it; never the negative zero."""
    return round(time_ms, TIME_DIGITS) + 0.0


def downbeat_indices(beats_ms: Sequence[float], downbeat_ms: Iterable[float]) -> tuple[int, ...]:
    """Return the indices of the downbeats of a map, which are some of its beats."""
    places = {time: index for index, time in enumerate(beats_ms)}
    return tuple(places[time] for time in downbeat_ms)


def carry_downbeats(before: BeatGrid, beats_ms: Sequence[float], tolerance_ms: float) -> tuple[int, ...]:
    """Return which of some new beats begin the bars of an earlier grid.

    They are the beats within `tolerance_ms` of a downbeat. If there are none, bars of the earlier length are counted
    from the first beat.
    """
    found: set[int] = set()
    for time in before.downbeat_ms:
        place = bisect_left(beats_ms, time)
        near = [index for index in (place - 1, place) if 0 <= index < len(beats_ms)]
        closest = min(near, key=lambda index: abs(beats_ms[index] - time), default=None)
        if closest is not None and abs(beats_ms[closest] - time) <= tolerance_ms:
            found.add(closest)
    return tuple(sorted(found)) or tuple(range(0, len(beats_ms), before.beats_per_bar))
