"""Tests decoding and sequence tracking: bad readings are counted and left out, the rest is kept."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.messages.telemetry import TelemetrySample
from k1_telemetry.fleet.readings import MAX_BYTES, MAX_READINGS, Reading, assign_times, decode
from k1_telemetry.fleet.sequences import HISTORY_SIZE, SequenceTracker
from services.telemetry.tests.samples import TRACK, at, fields, message, reading


def test_one_reading_or_a_list_is_decoded() -> None:
    """Unknown fields are ignored; integers are accepted as numbers."""
    several = [fields(1, drift_ms=3, future={"a": [1]}), fields(2, track_id=TRACK, error="é" * 200)]
    assert decode(message(fields(7))) == ((reading(7),), {})
    assert decode(message(*several)) == (
        [reading(1, drift_ms=3.0), reading(2, track_id=TRACK, error="é" * 200)],
        {},
    )
    assert decode(b"[]") == ([], {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpu_pct": 100.1},
        {"cpu_pct": -0.1},
        {"temp_c": -60.5},
        {"temp_c": 200.5},
        {"fps": 1000.5},
        {"rssi": -151},
        {"heap_free": -1},
        {"seq": -1},
        {"seq": 1.5},
        {"seq": 2**63},
        {"drift_ms": float("nan")},
        {"drift_ms": float("inf")},
        {"ts": float("-inf")},
        {"fps": float("nan")},
        {"drift_ms": "3"},
        {"drift_ms": None},
        {"track_id": "live.>"},
        {"track_id": TRACK + "\n"},
        {"track_id": TRACK[:-1] + "U"},
        {"error": "x" * 201},
    ],
)
def test_a_bad_reading_does_not_invalidate_the_others(wrong: dict[str, Any]) -> None:
    """A single bad reading is counted; in a list, the readings around it are kept."""
    bad = fields(1) | wrong
    assert decode(message(bad)) == ([], {"invalid": 1})
    assert decode(message(fields(0), bad, fields(2))) == ([reading(0), reading(2)], {"invalid": 1})


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b"\xff", "malformed"),
        (b'{"ts": nan}', "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"x":' * 100_000, "malformed"),
        (b"9" * 5000, "malformed"),
        (b"null", "invalid"),
        (b"3", "invalid"),
        (b'"text"', "invalid"),
        (b"{}", "invalid"),
        (b'{"ts": 1e400}', "invalid"),
        (b" " * MAX_BYTES + b"1", "too_many"),
        (json.dumps([fields()] * (MAX_READINGS + 1)).encode(), "too_many"),
        (json.dumps([{}] * (MAX_READINGS + 1)).encode(), "too_many"),
    ],
)
def test_a_hostile_message_is_one_fault(body: bytes, fault: str) -> None:
    """Whatever is sent, decoding ends quickly and names the fault."""
    assert decode(body) == ([], {fault: 1}) or decode(body) == ((), {fault: 1})


def test_the_maximum_number_of_readings_is_decoded() -> None:
    """A message may have a thousand readings."""
    found, faults = decode(json.dumps([fields(n) for n in range(MAX_READINGS)]).encode())
    assert (len(found), faults) == (MAX_READINGS, {})


@given(st.binary())
def test_any_bytes_are_decoded_without_an_exception(data: bytes) -> None:
    """Decoding returns readings or faults and never raises."""
    decode(data)


numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 100, -60, 200, 1000, 2**63]))
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(sorted(fields(track_id=TRACK, error="x"))), anything), max_size=4
    )
)
def test_every_decoded_reading_is_valid_by_the_contract(changes: list[dict[str, Any]]) -> None:
    """Whatever the fields hold, every reading is kept or counted, and the contract accepts each kept one."""
    items = [fields(number) | change for number, change in enumerate(changes)]
    found, faults = decode(json.dumps(items).encode())
    if faults.get("malformed"):  # A number with more digits than Python reads, or the like.
        assert not found
        return
    assert len(found) + faults.get("invalid", 0) == len(items)
    for kept in found:
        TelemetrySample.model_validate({name: getattr(kept, name) for name in Reading.__struct_fields__})


def test_the_device_clock_gives_the_distances_within_one_message() -> None:
    """The newest was taken when the message arrived, the others earlier by the device's own times."""
    readings = [reading(n, ts=1e12 + n * 100) for n in range(3)]
    assert assign_times(readings, at(10), at(9)) == [at(9.8), at(9.9), at(10)]
    assert assign_times(readings, at(10), None) == [at(9.8), at(9.9), at(10)]


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    st.one_of(st.none(), st.integers(-20_000_000, 20_000_000)),
)
def test_no_device_clock_moves_a_reading_out_of_its_interval(
    stamps: list[float], previous_us: int | None
) -> None:
    """Times are not before the previous message, not after the arrival, not falling, and within five seconds."""
    previous = None if previous_us is None else at(0) + timedelta(microseconds=previous_us)
    times = assign_times([reading(ts=ts) for ts in stamps], at(0), previous)
    newest = at(0) if previous is None else max(at(0), previous)
    assert times == sorted(times)
    assert times[-1] == newest
    assert times[0] >= newest - timedelta(seconds=5)
    assert previous is None or times[0] >= previous


def classify_all(*readings: tuple[int, float]) -> list[tuple[str, int]]:
    """Classify readings given as (seq, ts); return the status and the number of missing readings of each."""
    tracker = SequenceTracker()
    found = [tracker.classify(seq, ts, at(ts / 1000)) for seq, ts in readings]
    return [(result.status, result.missing) for result in found]


def test_gaps_are_counted() -> None:
    """Each skipped sequence number is counted once."""
    assert classify_all((5, 0), (6, 100), (9, 400), (10, 500)) == [
        ("new", 0),
        ("new", 0),
        ("new", 2),
        ("new", 0),
    ]


def test_duplicates_and_late_readings_are_distinguished() -> None:
    """A late reading fills a gap with a fitting time; a repeated reading is a duplicate, also if it was late."""
    seen = [(1, 100), (2, 200), (5, 500), (2, 200), (5, 500), (3, 300), (3, 300), (6, 600)]
    statuses = [status for status, _ in classify_all(*seen)]
    assert statuses == ["new", "new", "new", "duplicate", "duplicate", "late", "duplicate", "new"]


def test_a_number_that_fits_a_gap_with_a_time_that_does_not_is_a_restart() -> None:
    """Readings from before the restart are not neighbours of readings after it."""
    seen = [(1, 100.0), (5, 500.0), (3, 50.0), (6, 350.0), (5, 250.0), (5, 250.0)]
    statuses = [status for status, _ in classify_all(*seen)]
    assert statuses == ["new", "new", "restarted", "new", "late", "duplicate"]


@pytest.mark.parametrize("ts", [0.0, 250.0, 1e12])
def test_a_restarted_device_is_tracked_from_its_new_numbers(ts: float) -> None:
    """This holds whether its clock restarted, shows a time within the known range, or continued."""
    seen = [(number, number * 100.0) for number in range(30)]
    again = [(0, ts + 1), (1, ts + 101), (2, ts + 201)]
    assert [status for status, _ in classify_all(*seen, *again)][30:] == ["restarted", "new", "new"]


def test_a_redelivered_reading_is_late() -> None:
    """However old it is, it is not taken for a restart."""
    tracker = SequenceTracker()
    for number in range(HISTORY_SIZE * 2):
        tracker.classify(number, number, at(0))
    assert tracker.classify(0, 0, at(0), redelivered=True).status == "late"
    assert tracker.classify(HISTORY_SIZE * 2, 1e6, at(0)).status == "new"


def test_clock_jumps_are_detected() -> None:
    """A clock jumps if it goes back or by over a minute against the broker's time; slow drift is no jump."""
    tracker = SequenceTracker()
    jumps = [
        tracker.classify(seq, ts, at(seconds)).clock_jumped
        for seq, ts, seconds in [
            (0, 0, 0),
            (1, 1000, 1),
            (2, 900, 2),
            (3, 61_900, 3),
            (4, 62_901, 4),
            (5, 200_000, 5),
        ]
    ]
    assert jumps == [False, False, True, False, False, True]


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(-1e6, 1e6)), max_size=300))
def test_any_sequence_is_classified(seen: list[tuple[int, float]]) -> None:
    """Nothing raises, memory is bounded, and a reading repeated at once is a duplicate."""
    tracker = SequenceTracker()
    statuses = Counter[str]()
    for seq, ts in seen:
        result = tracker.classify(seq, ts, at(0))
        statuses[result.status] += 1
        assert result.missing >= 0
        assert tracker.classify(seq, ts, at(0)).status == "duplicate"
    assert sum(statuses.values()) == len(seen)
    assert len(tracker._recent) <= HISTORY_SIZE
