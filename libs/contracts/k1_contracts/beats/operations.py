"""Operations on beats: half, double, shift, nudge, regrid, and those on bars. Pure.

Each returns a new grid and leaves its argument as it is. An operation with a range changes only the beats of the range,
both ends included. Locked beats never move and are never removed. The result is not checked; `check_beats` does that.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from k1_contracts.beats.grid import BeatGrid
from k1_contracts.beats.rules import MIN_SPACING_MS


class OperationError(ValueError):
    """The operation does not fit the beats; the text says what to change."""


@dataclass(frozen=True, slots=True)
class BeatRange:
    """The indices of the first and the last beat that an operation may change."""

    first: int
    last: int

    @property
    def indices(self) -> range:
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A beat that a person has put to its place."""

    index: int
    time_ms: float


def whole_range(grid: BeatGrid, first: int | None = None, last: int | None = None) -> BeatRange:
    """Return a range, by default of all beats; raise OperationError if it is not one of the grid's."""
    found = BeatRange(0 if first is None else first, len(grid.beats_ms) - 1 if last is None else last)
    if not 0 <= found.first <= found.last < len(grid.beats_ms):
        raise OperationError(
            f"The range from {found.first} to {found.last} is not one of the {len(grid.beats_ms)} beats."
        )
    return found


def half(grid: BeatGrid, phase: int, within: BeatRange, locked: Collection[int] = ()) -> BeatGrid:
    """Keep every other beat of the range, from its first (`phase` 0) or second (1) on, and the locked ones."""
    kept = [
        index
        for index in range(len(grid.beats_ms))
        if index not in within.indices or (index - within.first) % 2 == phase or index in locked
    ]
    beats = [grid.beats_ms[index] for index in kept]
    return BeatGrid.of(beats, _surviving_downbeats(grid.downbeats, kept))


def double(grid: BeatGrid, within: BeatRange) -> BeatGrid:
    """Add a beat in the middle of each interval of the range; the bars have twice as many beats."""
    beats: list[float] = []
    places: list[int] = []
    for index, time in enumerate(grid.beats_ms):
        places.append(len(beats))
        beats.append(time)
        if within.first <= index < within.last:
            beats.append((time + grid.beats_ms[index + 1]) / 2)
    return BeatGrid.of(beats, (places[index] for index in grid.downbeats))


def shift(
    grid: BeatGrid, by_ms: float, within: BeatRange, duration_ms: float, locked: Collection[int] = ()
) -> BeatGrid:
    """Move the beats of the range; those that leave the track are removed."""
    moved = [
        time + by_ms if index in within.indices and index not in locked else time
        for index, time in enumerate(grid.beats_ms)
    ]
    return _inside(moved, grid.downbeats, duration_ms)


def nudge(grid: BeatGrid, moves: Mapping[int, float], locked: Collection[int] = ()) -> BeatGrid:
    """Move single beats by ms; raise OperationError for a locked beat or one that does not exist."""
    for index in moves:
        if not 0 <= index < len(grid.beats_ms):
            raise OperationError(f"There is no beat {index}: there are {len(grid.beats_ms)}.")
        if index in locked:
            raise OperationError(f"Beat {index} is locked; unlock it first.")
    return BeatGrid.of(
        (time + moves.get(index, 0.0) for index, time in enumerate(grid.beats_ms)), grid.downbeats
    )


def regrid(
    grid: BeatGrid,
    anchors: Sequence[Anchor],
    duration_ms: float,
    *,
    constant: bool,
    locked: Collection[int] = (),
) -> BeatGrid:
    """Lay the beats anew from the first anchor on; what stands before it does not move.

    Between two anchors the beats are evenly spaced. After the last one they go on at the tempo of the last two, to the
    place where the beats ended before: beats are added or removed there. With `constant` one tempo goes from the first
    anchor through the others as closely as it can (least squares).

    Raises:
        OperationError: there are fewer than two anchors, they do not rise, or one would move a locked beat.
    """
    _require_anchors(grid, anchors, locked)
    line = _constant_line(anchors) if constant else list(anchors)
    beats = list(grid.beats_ms)
    for index in range(anchors[0].index, len(beats)):
        if index not in locked:
            beats[index] = _time_on(line, index)
    return _with_end(grid, beats, line, duration_ms, locked)


def number_bars(grid: BeatGrid, index: int, beats_per_bar: int, within: BeatRange) -> BeatGrid:
    """Begin a bar at a beat of the range, and every `beats_per_bar` beats before and after it in the range."""
    if index not in within.indices:
        raise OperationError(f"Beat {index} is not in the range from {within.first} to {within.last}.")
    outside = (each for each in grid.downbeats if each not in within.indices)
    inside = (each for each in within.indices if (each - index) % beats_per_bar == 0)
    return BeatGrid(grid.beats_ms, tuple(sorted({*outside, *inside})))


def _surviving_downbeats(downbeats: Iterable[int], kept: Sequence[int]) -> list[int]:
    """Return the new indices of the downbeats that are kept; if hardly any is, of the next beat after each.

    All of them survive at half the tempo of bars in four, every other one in three. So a third or fewer means that the
    kept beats are the offbeats.
    """
    places = {old: new for new, old in enumerate(kept)}
    downbeats = tuple(downbeats)
    surviving = [places[index] for index in downbeats if index in places]
    if 3 * len(surviving) >= len(downbeats):
        return surviving
    following = {bisect_left(kept, index) for index in downbeats}
    return sorted(place for place in following if place < len(kept))


def _inside(beats: Sequence[float], downbeats: Collection[int], duration_ms: float) -> BeatGrid:
    """Return the grid without the beats outside of the track."""
    kept = [index for index, time in enumerate(beats) if 0 <= time <= duration_ms]
    bars = frozenset(downbeats)
    return BeatGrid.of(
        (beats[index] for index in kept), (place for place, index in enumerate(kept) if index in bars)
    )


def _require_anchors(grid: BeatGrid, anchors: Sequence[Anchor], locked: Collection[int]) -> None:
    if len(anchors) < 2:  # noqa: PLR2004  a tempo needs two times
        raise OperationError("Give two anchors or more: one time says nothing about the tempo.")
    for before, after in pairwise(anchors):
        if after.index <= before.index or after.time_ms <= before.time_ms:
            raise OperationError(
                f"The anchor of beat {after.index} at {after.time_ms:g} ms does not follow that of beat "
                f"{before.index} at {before.time_ms:g} ms: both indices and times must rise."
            )
    for anchor in anchors:
        if not 0 <= anchor.index < len(grid.beats_ms):
            raise OperationError(f"There is no beat {anchor.index}: there are {len(grid.beats_ms)}.")
        if anchor.index in locked and anchor.time_ms != grid.beats_ms[anchor.index]:
            raise OperationError(f"Beat {anchor.index} is locked; unlock it, or leave it where it is.")


def _constant_line(anchors: Sequence[Anchor]) -> list[Anchor]:
    """Return two anchors on the line through the first anchor that is closest to the others."""
    first = anchors[0]
    steps = [anchor.index - first.index for anchor in anchors]
    times = [anchor.time_ms - first.time_ms for anchor in anchors]
    period = sum(n * t for n, t in zip(steps, times, strict=True)) / sum(n * n for n in steps)
    return [first, Anchor(anchors[-1].index, first.time_ms + period * steps[-1])]


def _time_on(line: Sequence[Anchor], index: int) -> float:
    """Return the time of a beat on the line through the anchors, which goes on after the last."""
    place = min(max(bisect_left(line, index, key=lambda anchor: anchor.index), 1), len(line) - 1)
    before, after = line[place - 1], line[place]
    share = (index - before.index) / (after.index - before.index)
    return before.time_ms + share * (after.time_ms - before.time_ms)


def _with_end(
    grid: BeatGrid,
    beats: list[float],
    line: Sequence[Anchor],
    duration_ms: float,
    locked: Collection[int],
) -> BeatGrid:
    """Return the grid with its beats added or removed at the end, so that it ends where it ended before."""
    period = (line[-1].time_ms - line[-2].time_ms) / (line[-1].index - line[-2].index)
    if period < MIN_SPACING_MS:
        raise OperationError(f"The last two anchors give {60_000 / period:.0f} BPM, which is too fast.")
    end = min(duration_ms, max(grid.beats_ms[-1], line[-1].time_ms) + period / 2)
    last = max((line[-1].index, *locked))
    while len(beats) > last + 1 and beats[-1] > end:
        beats.pop()
    bar = grid.bar_length_at(len(grid.beats_ms) - 1)
    downbeats = [index for index in grid.downbeats if index < len(beats)]
    while beats[-1] + period <= end:
        if downbeats and (len(beats) - downbeats[-1]) % bar == 0:
            downbeats.append(len(beats))
        beats.append(beats[-1] + period)
    return BeatGrid.of(beats, downbeats)
