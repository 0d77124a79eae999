"""Tests the errors for wrong readings and byes: the error names the field, whatever was sent."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_telemetry.fleet.effects import RejectedMessage
from k1_telemetry.fleet.readings import MAX_READINGS, decode
from k1_telemetry.message_errors import check_bye, explain

READING = {
    "ts": 1.0,
    "seq": 0,
    "drift_ms": 0.5,
    "cpu_pct": 1,
    "temp_c": 40,
    "fps": 60,
    "heap_free": 1,
    "rssi": -50,
}


def telemetry(body: object) -> RejectedMessage:
    return RejectedMessage("a", "telemetry", json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({**READING, "seq": -1}, "invalid_field", "seq"),
        ({**READING, "fps": "60"}, "invalid_field", "fps"),
        ({**READING, "track_id": "song"}, "invalid_field", "track_id"),
        ({key: value for key, value in READING.items() if key != "rssi"}, "invalid_field", "rssi"),
        ({**READING, "drift_ms": math.nan}, "invalid_field", "drift_ms"),
        ([READING, {**READING, "temp_c": 900}], "invalid_field", "1.temp_c"),
        ([READING, 7], "invalid_field", "1"),
        ([READING] * (MAX_READINGS + 1), "too_many", None),
    ],
)
def test_the_error_names_the_wrong_field(body: object, code: str, field: str | None) -> None:
    """In a list of readings, the field includes the index."""
    problem = explain(telemetry(body))
    assert (problem.code, problem.field) == (code, field)


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [(b"", "invalid_json", None), (b"{}", "invalid_field", "id"), (b'{"id":"b"}', "wrong_id", "id")],
)
def test_wrong_byes_are_explained(data: bytes, code: str, field: str | None) -> None:
    """The body is not JSON, has no id, or has the id of another device."""
    problem = check_bye("a", data)
    assert problem is not None
    assert (problem.code, problem.field) == (code, field)
    assert check_bye("a", b'{"id":"a"}') is None


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
changes = st.dictionaries(st.sampled_from([*READING, "track_id"]), values, max_size=3)
readings = changes.map(lambda changed: READING | changed) | changes


@given(
    st.binary(max_size=60)
    | st.one_of(readings, st.lists(readings, max_size=3), values).map(json.dumps).map(str.encode)
)
def test_every_rejected_message_is_explained(data: bytes) -> None:
    """Every message that the decoder does not accept completely is explained, and nothing raises."""
    _, faults = decode(data)
    if faults:
        assert explain(RejectedMessage("a", "telemetry", data)).message
