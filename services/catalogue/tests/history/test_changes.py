"""Tests of merging and replaying changes, without stores."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.history.changes import RowChange, TrackRows, apply_change, merge_changes, replay, to_public

ROW = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), min_size=3, max_size=3)
PLACES = (("track", "trk"), ("versions", "1"), ("versions", "2"), ("jobs", "job_1"))


def row_change(
    entity: Any, key: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> RowChange:
    """Return the change as the trigger writes it: only the columns that differ, or a whole row."""
    if before is None or after is None:
        return RowChange(entity, key, before, after)
    names = [name for name in after if after[name] != before[name]]
    return RowChange(entity, key, {n: before[n] for n in names}, {n: after[n] for n in names})


@st.composite
def transactions(draw: st.DrawFn) -> list[list[tuple[int, dict[str, int] | None]]]:
    """Draw transactions: each a list of rows that are written, or removed if None."""
    write = st.tuples(st.integers(0, len(PLACES) - 1), ROW | st.none())
    return draw(st.lists(st.lists(write, max_size=6), max_size=6))


def image_of(rows: dict[int, dict[str, int]]) -> TrackRows:
    found = TrackRows()
    for place, row in rows.items():
        entity, key = PLACES[place]
        image = {"track": row} if entity == "track" else {entity: {key: row}}
        found = apply_change(found, image)
    return found


@given(transactions())
def test_the_replay_of_all_events_gives_the_rows(
    written: list[list[tuple[int, dict[str, int] | None]]],
) -> None:
    """One event for each transaction, whatever it does to a row: forwards to the last state, backwards to the first."""
    rows: dict[int, dict[str, int]] = {}
    states, events = [image_of({})], []
    for transaction in written:
        changes: list[RowChange] = []
        for place, row in transaction:
            before = rows.get(place)
            if before == row:
                continue
            changes.append(row_change(*PLACES[place], before, row))
            rows = {key: value for key, value in rows.items() if key != place}
            if row is not None:
                rows[place] = row
        events.append(merge_changes(changes))
        states.append(image_of(rows))
    assert replay(after for _, after in events) == states[-1]
    state = states[-1]
    for (before, _), earlier in zip(reversed(events), reversed(states[:-1]), strict=True):
        state = apply_change(state, before)
        assert state == earlier


def test_columns_that_end_as_they_began_are_left_out() -> None:
    changes = [
        RowChange("track", "t", {"title": "a", "notes": None}, {"title": "b", "notes": "n"}),
        RowChange("track", "t", {"title": "b"}, {"title": "a"}),
        RowChange("jobs", "j", None, {"id": "j"}),
        RowChange("jobs", "j", {"id": "j"}, None),
    ]
    assert merge_changes(changes) == ({"track": {"notes": None}}, {"track": {"notes": "n"}})


def test_histories_show_no_idempotency_keys() -> None:
    image = {
        "track": None,
        "jobs": {"j": {"idempotency_key": "k", "accepted": {}, "status": "queued"}, "i": None},
    }
    assert to_public(image) == {"track": None, "jobs": {"j": {"status": "queued"}, "i": None}}
