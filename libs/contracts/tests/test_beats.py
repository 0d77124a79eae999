"""Operations on beats: what each keeps, on any grid; and the faults that are named."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from k1_contracts.beats.grid import BeatGrid, carry_downbeats
from k1_contracts.beats.operations import (
    Anchor,
    OperationError,
    double,
    half,
    nudge,
    number_bars,
    regrid,
    shift,
    whole_range,
)
from k1_contracts.beats.rules import MAX_BEATS, MAX_NAMED, check_beats
from k1_contracts.messages.catalogue.beats import PreviewBeats, SaveBeatOverride

TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
DURATION_MS = 1_000_000.0


@st.composite
def grids(draw: st.DrawFn) -> BeatGrid:
    """Valid beats 200 ms to 2 s apart, with bars of one length."""
    gaps = draw(st.lists(st.integers(2000, 20_000), min_size=2, max_size=60))
    start = draw(st.integers(0, 50_000))
    times = [start / 10]
    for gap in gaps:
        times.append(times[-1] + gap / 10)
    bar = draw(st.integers(1, 7))
    return BeatGrid.of(times, range(draw(st.integers(0, bar - 1)), len(times), bar))


def rises(grid: BeatGrid) -> bool:
    return all(before < after for before, after in pairwise(grid.beats_ms))


@given(grids())
def test_half_undoes_double(grid: BeatGrid) -> None:
    doubled = double(grid, whole_range(grid))
    assert len(doubled.beats_ms) == 2 * len(grid.beats_ms) - 1
    assert rises(doubled)
    assert doubled.downbeat_ms == grid.downbeat_ms
    again = half(doubled, 0, whole_range(doubled))
    assert again.beats_ms == grid.beats_ms
    assert again.downbeats == grid.downbeats


@given(grids(), st.integers(0, 1), st.data())
def test_half_keeps_every_other_beat_of_its_range_and_the_locked_ones(
    grid: BeatGrid, phase: int, data: st.DataObject
) -> None:
    last = len(grid.beats_ms) - 1
    first = data.draw(st.integers(0, last))
    within = whole_range(grid, first, data.draw(st.integers(first, last)))
    locked = data.draw(st.sets(st.integers(0, last)))
    kept = half(grid, phase, within, locked)
    expected = [
        time
        for index, time in enumerate(grid.beats_ms)
        if index not in within.indices or index in locked or (index - first) % 2 == phase
    ]
    assert list(kept.beats_ms) == expected
    assert all(0 <= index < len(expected) for index in kept.downbeats)
    assert list(kept.downbeats) == sorted(set(kept.downbeats))


def test_half_on_the_offbeats_begins_each_bar_with_the_beat_after_its_downbeat() -> None:
    grid = BeatGrid.of(range(0, 8000, 500), range(0, 16, 4))
    assert half(grid, 1, whole_range(grid)).downbeat_ms == [500, 2500, 4500, 6500]
    assert half(grid, 0, whole_range(grid)).downbeat_ms == grid.downbeat_ms


@given(grids(), st.integers(-2000, 2000), st.data())
def test_a_shift_back_undoes_a_shift_inside_the_track(
    grid: BeatGrid, tenths: int, data: st.DataObject
) -> None:
    by_ms = tenths / 10
    locked = data.draw(st.sets(st.integers(0, len(grid.beats_ms) - 1)))
    there = shift(grid, by_ms, whole_range(grid), DURATION_MS, locked)
    if grid.beats_ms[0] + by_ms < 0:
        assert len(there.beats_ms) == len(grid.beats_ms) - (0 not in locked)
        return
    assert all(there.beats_ms[index] == grid.beats_ms[index] for index in locked)
    back = shift(there, -by_ms, whole_range(there), DURATION_MS, locked)
    assert back.beats_ms == pytest.approx(grid.beats_ms, abs=0.15)
    assert back.downbeats == grid.downbeats


@given(grids(), st.data())
def test_nudge_moves_only_its_beats(grid: BeatGrid, data: st.DataObject) -> None:
    indices = st.integers(0, len(grid.beats_ms) - 1)
    moves = data.draw(st.dictionaries(indices, st.integers(-900, 900).map(lambda tenths: tenths / 10)))
    moved = nudge(grid, moves)
    for index, (before, after) in enumerate(zip(grid.beats_ms, moved.beats_ms, strict=True)):
        assert after == pytest.approx(before + moves.get(index, 0.0), abs=0.051)
    if moves:
        with pytest.raises(OperationError, match="locked"):
            nudge(grid, moves, locked=moves.keys())


@given(grids(), st.booleans(), st.data())
def test_regrid_leaves_what_stands_before_the_first_anchor(
    grid: BeatGrid, constant: bool, data: st.DataObject
) -> None:
    """Piecewise, each anchor is hit; beats before the first and locked ones do not move."""
    last = len(grid.beats_ms) - 1
    chosen = data.draw(st.lists(st.integers(0, last), min_size=2, max_size=4, unique=True).map(sorted))
    anchors = [
        Anchor(index, grid.beats_ms[index] + data.draw(st.integers(-300, 300)) / 10) for index in chosen
    ]
    locked = data.draw(st.sets(st.integers(0, last))) - set(chosen)
    found = regrid(grid, anchors, DURATION_MS, constant=constant, locked=locked)
    assert found.beats_ms[: chosen[0]] == grid.beats_ms[: chosen[0]]
    for index in locked:
        assert found.beats_ms[index] == grid.beats_ms[index]
    if not constant:
        for anchor in anchors:
            assert found.beats_ms[anchor.index] == pytest.approx(anchor.time_ms, abs=0.051)
    if not locked:
        spans = [found.beats_ms[b] - found.beats_ms[a] for a, b in pairwise(chosen)]
        assert all(span > 0 for span in spans)
        end = max(grid.beats_ms[-1], anchors[-1].time_ms)
        period = found.beats_ms[-1] - found.beats_ms[-2] if chosen[-2] < len(found.beats_ms) - 1 else 0
        assert abs(found.beats_ms[-1] - end) <= period / 2 + 0.2 or len(found.beats_ms) == chosen[-1] + 1


def test_regrid_goes_on_to_the_end_with_its_bars() -> None:
    """A faster tempo adds beats and bars at the end; a slower one removes some."""
    grid = BeatGrid.of(range(0, 20_000, 500), range(0, 40, 4))
    faster = regrid(grid, [Anchor(4, 2000), Anchor(8, 3600)], 20_000, constant=False)
    assert faster.beats_ms[:5] == (0, 500, 1000, 1500, 2000)
    assert faster.beats_ms[-1] == 19_600
    assert faster.downbeats == tuple(range(0, len(faster.beats_ms), 4))
    slower = regrid(grid, [Anchor(4, 2000), Anchor(8, 4800)], 20_000, constant=False)
    assert slower.beats_ms[-1] == 19_500
    assert len(slower.beats_ms) == 30


@pytest.mark.parametrize(
    ("anchors", "message"),
    [
        ([Anchor(0, 0)], "two anchors"),
        ([Anchor(3, 100), Anchor(2, 200)], "must rise"),
        ([Anchor(2, 200), Anchor(3, 200)], "must rise"),
        ([Anchor(0, 0), Anchor(99, 50_000)], "no beat 99"),
        ([Anchor(0, 0), Anchor(3, 1600)], "locked"),
        ([Anchor(0, 0), Anchor(2, 0.001)], "too fast"),
    ],
)
def test_anchors_that_fit_no_beats_are_refused(anchors: list[Anchor], message: str) -> None:
    grid = BeatGrid.of(range(0, 4000, 500), ())
    with pytest.raises(OperationError, match=message):
        regrid(grid, anchors, DURATION_MS, constant=False, locked={3})


@given(grids(), st.integers(1, 8), st.data())
def test_bars_are_numbered_from_a_beat_and_only_in_the_range(
    grid: BeatGrid, bar: int, data: st.DataObject
) -> None:
    last = len(grid.beats_ms) - 1
    first = data.draw(st.integers(0, last))
    within = whole_range(grid, first, data.draw(st.integers(first, last)))
    index = data.draw(st.integers(within.first, within.last))
    found = number_bars(grid, index, bar, within)
    assert found.beats_ms == grid.beats_ms
    assert {each for each in found.downbeats if each not in within.indices} == {
        each for each in grid.downbeats if each not in within.indices
    }
    assert [each for each in found.downbeats if each in within.indices] == [
        each for each in within.indices if (each - index) % bar == 0
    ]


@given(grids())
def test_downbeats_are_carried_to_beats_that_are_a_little_later(grid: BeatGrid) -> None:
    later = [time + 30 for time in grid.beats_ms]
    expected = grid.downbeats or tuple(range(0, len(later), grid.beats_per_bar))
    assert carry_downbeats(grid, later, 70) == expected
    elsewhere = [time + 10_000_000 for time in grid.beats_ms]
    assert carry_downbeats(grid, elsewhere, 70) == tuple(range(0, len(later), grid.beats_per_bar))


def test_every_fault_is_named() -> None:
    beats = [-1.0, 100.0, 100.0, 120.0, math.nan, 2_000.0]
    found = check_beats(beats, [0, 9, 3], 1000.0)
    assert [fault.rule for fault in found] == [
        "beats_range",
        "beats_finite",
        "beats_range",
        "beats_rising",
        "beats_spacing",
        "downbeats_range",
        "downbeats_rising",
    ]
    assert check_beats([5.0], [], 1000.0)[0].rule == "beats_count"
    assert check_beats([0.0, 50.0], [0, 1], 50.0) == []


def test_the_faults_of_fifty_thousand_beats_are_counted() -> None:
    beats = [0.0] * MAX_BEATS
    found = check_beats(beats, [], 1000.0)
    assert len(found) == MAX_NAMED + 1
    assert str(MAX_BEATS - 1 - MAX_NAMED) in found[-1].message
    assert check_beats([*beats, 0.0], [], 1000.0)[0].rule == "beats_count"
    grid = BeatGrid.of((60.0 * number for number in range(MAX_BEATS)), range(0, MAX_BEATS, 4))
    assert check_beats(grid.beats_ms, grid.downbeats, 60.0 * MAX_BEATS) == []
    assert len(half(grid, 0, whole_range(grid)).beats_ms) == MAX_BEATS // 2
    assert grid.bpm == pytest.approx(1000)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"operation": "shift"}, "shift needs shift_ms"),
        ({"operation": "half", "shift_ms": 1.0}, "half does not take shift_ms"),
        ({"operation": "double", "beats": [0.0], "beats_ms": [0.0]}, "either beats"),
    ],
)
def test_an_operation_names_its_parameters(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PreviewBeats.model_validate({"track_id": TRACK, "version": 1, **fields})


def test_an_override_has_beats_in_one_unit() -> None:
    for beats in ({}, {"beats": [0.0, 1.0], "beats_ms": [0.0, 1000.0]}):
        with pytest.raises(ValidationError, match="either beats"):
            SaveBeatOverride.model_validate({"track_id": TRACK, "version": 1, **beats})
    assert SaveBeatOverride(track_id=TRACK, version=1, beats=[0.5, 1.0]).given_ms == [500.0, 1000.0]
