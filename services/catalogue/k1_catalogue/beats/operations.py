"""Applies the operation of a preview to beats. Pure."""

from k1_catalogue import errors
from k1_catalogue.beats.override import changes_between
from k1_contracts.beats import operations
from k1_contracts.beats.grid import BeatGrid, carry_downbeats, round_ms
from k1_contracts.beats.operations import Anchor, BeatRange, OperationError, whole_range
from k1_contracts.beats.rules import check_beats
from k1_contracts.messages.catalogue.beats import BeatsPreviewed, PreviewBeats

CARRY_TOLERANCE_MS = 70.0
"""A new beat this near to a downbeat of before is the same beat."""


def preview(query: PreviewBeats, current: BeatGrid, duration_ms: float) -> BeatsPreviewed:
    """Return the result of an operation on the given beats, or on the current ones of a track.

    Raises:
        QueryError: `beats_invalid` or `operation_invalid`.
    """
    before = current
    if query.given_ms is not None:
        before = checked_grid(query.given_ms, query.downbeats, current, duration_ms)
    try:
        after = _apply(query, before, duration_ms)
    except OperationError as error:
        raise errors.operation_invalid(error) from error
    _require_valid(after, duration_ms)
    return BeatsPreviewed(
        beats_ms=list(after.beats_ms),
        downbeats=list(after.downbeats),
        bpm=round(after.bpm, 2),
        beats_per_bar=after.beats_per_bar,
        changes=changes_between(before.beats_ms, after.beats_ms),
    )


def checked_grid(
    beats_ms: list[float], downbeats: list[int] | None, current: BeatGrid, duration_ms: float
) -> BeatGrid:
    """Return the beats that a person gave; without downbeats they keep those of the current beats.

    Raises:
        QueryError: `beats_invalid`, with every fault.
    """
    rounded = [round_ms(time) for time in beats_ms]
    _require_valid(BeatGrid(tuple(rounded), tuple(downbeats or ())), duration_ms)
    bars = carry_downbeats(current, rounded, CARRY_TOLERANCE_MS) if downbeats is None else tuple(downbeats)
    return BeatGrid(tuple(rounded), bars)


def _require_valid(grid: BeatGrid, duration_ms: float) -> None:
    if faults := check_beats(grid.beats_ms, grid.downbeats, duration_ms):
        raise errors.beats_invalid(faults)


def _apply(query: PreviewBeats, grid: BeatGrid, duration_ms: float) -> BeatGrid:
    within = whole_range(grid, query.from_index, query.to_index)
    locked = frozenset(query.locked or ())
    match query.operation:
        case "half":
            return operations.half(grid, query.phase or 0, within, locked)
        case "double":
            return operations.double(grid, within)
        case "shift":
            return operations.shift(grid, query.shift_ms or 0.0, within, duration_ms, locked)
        case "nudge":
            return operations.nudge(grid, {each.index: each.by_ms for each in query.moves or ()}, locked)
        case "regrid":
            anchors = [Anchor(each.index, each.time_ms) for each in query.anchors or ()]
            constant = query.tempo == "constant"
            return operations.regrid(grid, anchors, duration_ms, constant=constant, locked=locked)
        case "set_downbeat" | "set_meter":
            return _number_bars(query, grid, within)


def _number_bars(query: PreviewBeats, grid: BeatGrid, within: BeatRange) -> BeatGrid:
    """Set a metre from the first beat of the range on, or begin a bar at a beat, by default from there to the end."""
    if query.operation == "set_meter":
        return operations.number_bars(grid, within.first, query.beats_per_bar or 1, within)
    index = query.index or 0
    first = index if query.from_index is None else query.from_index
    bar = query.beats_per_bar or grid.bar_length_at(index)
    return operations.number_bars(grid, index, bar, whole_range(grid, first, query.to_index))
