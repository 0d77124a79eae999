"""Decoding and the numbering of readings: bad ones are counted and left out, the rest is kept."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.devices import TelemetrySample
from k1_telemetry.readings import LONGEST_BYTES, MOST_READINGS, Reading, decode, spread
from k1_telemetry.sequences import REMEMBERED, Numbering
from services.telemetry.tests.samples import TRACK, at, fields, message, reading


def test_one_reading_or_several() -> None:
    """Fields that are not known are ignored; whole numbers are numbers."""
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
        {"error": "x" * 201},
    ],
)
def test_a_bad_reading_does_not_take_the_others_with_it(wrong: dict[str, Any]) -> None:
    """Alone it is counted; in a list the ones around it are kept."""
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
        (b" " * LONGEST_BYTES + b"1", "too_many"),
        (json.dumps([fields()] * (MOST_READINGS + 1)).encode(), "too_many"),
        (json.dumps([{}] * (MOST_READINGS + 1)).encode(), "too_many"),
    ],
)
def test_hostile_messages_are_one_fault(body: bytes, fault: str) -> None:
    """Whatever is sent, reading it ends, quickly and with a name for what is wrong."""
    assert decode(body) == ([], {fault: 1}) or decode(body) == ((), {fault: 1})


def test_the_most_that_is_allowed_is_read() -> None:
    """A thousand readings."""
    found, faults = decode(json.dumps([fields(n) for n in range(MOST_READINGS)]).encode())
    assert (len(found), faults) == (MOST_READINGS, {})


@given(st.binary())
def test_no_bytes_break_it(data: bytes) -> None:
    """Readings or faults, never an exception."""
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
def test_what_is_kept_is_a_sample_of_the_contract(changes: list[dict[str, Any]]) -> None:
    """Whatever fields hold: every reading is kept or counted, and what is kept the contract takes as well."""
    items = [fields(number) | change for number, change in enumerate(changes)]
    found, faults = decode(json.dumps(items).encode())
    if faults.get("malformed"):  # A number with more digits than Python reads, or the like.
        assert not found
        return
    assert len(found) + faults.get("invalid", 0) == len(items)
    for kept in found:
        TelemetrySample.model_validate({name: getattr(kept, name) for name in Reading.__struct_fields__})


def test_readings_of_one_message_are_spread_by_the_device_clock() -> None:
    """The newest was taken when the message arrived, the others so long before as the device says."""
    readings = [reading(n, ts=1e12 + n * 100) for n in range(3)]
    assert spread(readings, at(10), at(9)) == [at(9.8), at(9.9), at(10)]
    assert spread(readings, at(10), None) == [at(9.8), at(9.9), at(10)]


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    st.one_of(st.none(), st.integers(-20_000_000, 20_000_000)),
)
def test_no_device_clock_moves_a_reading_out_of_its_time(stamps: list[float], before_us: int | None) -> None:
    """Never before the last message, never after the arrival, never backwards, at most five seconds apart."""
    before = None if before_us is None else at(0) + timedelta(microseconds=before_us)
    times = spread([reading(ts=ts) for ts in stamps], at(0), before)
    newest = at(0) if before is None else max(at(0), before)
    assert times == sorted(times)
    assert times[-1] == newest
    assert times[0] >= newest - timedelta(seconds=5)
    assert before is None or times[0] >= before


def judged(*seen: tuple[int, float]) -> list[tuple[str, int]]:
    """(seq, ts) of readings -> what they are and how many are missing before them."""
    numbering = Numbering()
    found = [numbering.judge(seq, ts, at(ts / 1000)) for seq, ts in seen]
    return [(judgement.verdict, judgement.missing) for judgement in found]


def test_gaps_are_counted() -> None:
    """Each number that was left out, once."""
    assert judged((5, 0), (6, 100), (9, 400), (10, 500)) == [("new", 0), ("new", 0), ("new", 2), ("new", 0)]


def test_repeats_and_late_readings_are_told_apart() -> None:
    """A late one fills a gap, with a time that fits; what comes once more is a repeat, a late one too."""
    seen = [(1, 100), (2, 200), (5, 500), (2, 200), (5, 500), (3, 300), (3, 300), (6, 600)]
    verdicts = [verdict for verdict, _ in judged(*seen)]
    assert verdicts == ["new", "new", "new", "duplicate", "duplicate", "late", "duplicate", "new"]


def test_a_number_that_fits_a_gap_with_a_time_that_does_not_is_a_restart() -> None:
    """What was before the restart is no neighbour of what comes after it."""
    seen = [(1, 100.0), (5, 500.0), (3, 50.0), (6, 350.0), (5, 250.0), (5, 250.0)]
    verdicts = [verdict for verdict, _ in judged(*seen)]
    assert verdicts == ["new", "new", "restarted", "new", "late", "duplicate"]


@pytest.mark.parametrize("ts", [0.0, 250.0, 1e12])
def test_a_device_that_began_anew_counts_from_there(ts: float) -> None:
    """Whether its clock began anew with it, stands within what was seen, or went on."""
    seen = [(number, number * 100.0) for number in range(30)]
    again = [(0, ts + 1), (1, ts + 101), (2, ts + 201)]
    assert [verdict for verdict, _ in judged(*seen, *again)][30:] == ["restarted", "new", "new"]


def test_what_the_broker_delivers_again_is_late() -> None:
    """However long ago it was, it is no restart."""
    numbering = Numbering()
    for number in range(REMEMBERED * 2):
        numbering.judge(number, number, at(0))
    assert numbering.judge(0, 0, at(0), redelivered=True).verdict == "late"
    assert numbering.judge(REMEMBERED * 2, 1e6, at(0)).verdict == "new"


def test_clocks_that_jump_are_noticed() -> None:
    """Back, or more than a minute against the broker's time; not by a slow drift."""
    numbering = Numbering()
    jumps = [
        numbering.judge(seq, ts, at(seconds)).clock_jumped
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
def test_any_numbering_is_judged(seen: list[tuple[int, float]]) -> None:
    """Without an exception, with little memory, and the same reading right after itself is a repeat."""
    numbering = Numbering()
    verdicts = Counter[str]()
    for seq, ts in seen:
        judgement = numbering.judge(seq, ts, at(0))
        verdicts[judgement.verdict] += 1
        assert judgement.missing >= 0
        assert numbering.judge(seq, ts, at(0)).verdict == "duplicate"
    assert sum(verdicts.values()) == len(seen)
    assert len(numbering._recent) <= REMEMBERED
