"""The difference of two lists of beats."""

from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.maps.beat_diff import BeatDiff, diff_beats

RISING = st.lists(st.integers(0, 20_000), unique=True, max_size=40).map(
    lambda times: [float(each) for each in sorted(times)]
)


def test_names_moved_added_and_removed_beats() -> None:
    diff = diff_beats([0, 500, 1000, 1500], [0, 520, 1250, 1500.2, 2000])
    assert diff == BeatDiff(moved=[(1, 1, 20.0)], added=[2, 4], removed=[2])


def test_each_of_two_near_beats_is_compared_with_the_nearest() -> None:
    assert diff_beats([0, 100], [60], 70) == BeatDiff(moved=[(1, 0, -40.0)], added=[], removed=[0])


def test_lists_without_beats_have_only_new_or_removed_ones() -> None:
    assert diff_beats([], [1, 2]) == BeatDiff([], [0, 1], [])
    assert diff_beats([1, 2], []) == BeatDiff([], [], [0, 1])


@given(RISING, RISING, st.floats(0, 500))
def test_every_beat_counts_once_and_the_difference_leads_from_one_to_the_other(
    before: list[float], after: list[float], tolerance: float
) -> None:
    diff = diff_beats(before, after, tolerance)
    moved = {index: at for index, at, _ in diff.moved}
    assert len(set(moved.values())) == len(moved)
    shifted = {index: before[index] + shift for index, _, shift in diff.moved}
    kept = [shifted.get(index, beat) for index, beat in enumerate(before) if index not in diff.removed]
    assert sorted([*kept, *(after[index] for index in diff.added)]) == after
    assert all(abs(shift) <= tolerance for _, _, shift in diff.moved)


@given(RISING, RISING, st.floats(0, 500))
def test_exchanged_lists_give_the_exchanged_difference(
    before: list[float], after: list[float], tolerance: float
) -> None:
    diff, reverse = diff_beats(before, after, tolerance), diff_beats(after, before, tolerance)
    assert reverse.moved == [(new, old, -shift) for old, new, shift in diff.moved]
    assert (reverse.added, reverse.removed) == (diff.removed, diff.added)
