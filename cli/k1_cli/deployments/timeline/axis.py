"""The time axis of a timeline: seconds since the start, with long stretches without events shortened."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Final

LONG_S: Final = 30.0
"""A stretch without any event is shortened when it is longer than this."""
_SHORTENED_S: Final = 5.0
_SHORTENED_SHARE: Final = 0.3
_STEPS: Final = (
    0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400,
)  # fmt: skip
_MIN_DISTANCE: Final = 0.7
"""The minimum distance between ticks, in steps."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of `end - start` seconds that is drawn with the length of `drawn` seconds."""

    start: float
    end: float
    drawn: float


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps seconds to positions on the axis; a later time never has a smaller position."""

    gaps: tuple[Gap, ...]
    span: float
    """Seconds from start to end."""

    @property
    def length(self) -> float:
        """The position of the end."""
        return self.place(self.span)

    def place(self, seconds: float) -> float:
        """Return the position of a time."""
        place = seconds
        for gap in self.gaps:
            inside = min(max(seconds - gap.start, 0.0), gap.end - gap.start)
            place -= inside * (1 - gap.drawn / (gap.end - gap.start))
        return place

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return positions and labels: of about `most` round times outside the gaps, and of the end of each gap."""
        step = next((step for step in _STEPS if self.length / step <= most), _STEPS[-1])
        found = [(self.place(gap.end), duration(gap.end)) for gap in self.gaps]
        for seconds in self._round_times(step):
            place = self.place(seconds)
            if all(abs(place - taken) >= step * _MIN_DISTANCE for taken, _ in found):
                found.append((place, duration(seconds)))
        return sorted(found)

    def _round_times(self, step: float) -> Iterator[float]:
        """Yield the multiples of the step outside the gaps, which may be days long."""
        edges = [0.0, *(edge for gap in self.gaps for edge in (gap.start, gap.end)), self.span]
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            yield from (index * step for index in range(ceil(start / step), int(end / step) + 1))


def make_axis(times: Iterable[float]) -> Axis:
    """Return an axis from 0 over the times of all events, in seconds; none of them is negative."""
    stops = sorted({0.0, *times})
    short = sum(end - start for start, end in pairwise(stops) if end - start <= LONG_S)
    drawn = min(max(_SHORTENED_S, short * _SHORTENED_SHARE), LONG_S)
    gaps = (Gap(start, end, drawn) for start, end in pairwise(stops) if end - start > LONG_S)
    return Axis(tuple(gaps), stops[-1])


def duration(seconds: float) -> str:
    """Return the seconds as `0.2 s`, `12 s`, `1:30`, `2:05 h` or `1 d 3:00 h`."""
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02}"
    days, rest = divmod(whole, _DAY)
    hours = f"{rest // _HOUR}:{rest % _HOUR // _MINUTE:02} h"
    return f"{days} d {hours}" if days else hours
