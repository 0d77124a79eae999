"""What is wrong with readings and byes: the reason names the field, whatever was sent."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_telemetry.readings import MOST_READINGS, decode
from k1_telemetry.refusals import Refused, explain, wrong_bye

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


def telemetry(body: object) -> Refused:
    return Refused("a", "telemetry", json.dumps(body).encode())


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
        ([READING] * (MOST_READINGS + 1), "too_many", None),
    ],
)
def test_the_wrong_field_is_named(body: object, code: str, field: str | None) -> None:
    """With the index in a list of readings."""
    problem = explain(telemetry(body))
    assert (problem.code, problem.field) == (code, field)


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [(b"", "invalid_json", None), (b"{}", "invalid_field", "id"), (b'{"id":"b"}', "wrong_id", "id")],
)
def test_wrong_byes(data: bytes, code: str, field: str | None) -> None:
    """No JSON, no id, another's id."""
    problem = wrong_bye("a", data)
    assert problem is not None
    assert (problem.code, problem.field) == (code, field)
    assert wrong_bye("a", b'{"id":"a"}') is None


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
changes = st.dictionaries(st.sampled_from([*READING, "track_id"]), values, max_size=3)
readings = changes.map(lambda changed: READING | changed) | changes


@given(
    st.binary(max_size=60)
    | st.one_of(readings, st.lists(readings, max_size=3), values).map(json.dumps).map(str.encode)
)
def test_whatever_is_refused_has_a_reason(data: bytes) -> None:
    """Every message that the decoder does not take whole is explained, and nothing raises."""
    _, faults = decode(data)
    if faults:
        assert explain(Refused("a", "telemetry", data)).message
