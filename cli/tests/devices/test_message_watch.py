"""The lines of `k1 devices watch`: for what a device sends, what is sent to it, and what is refused."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_cli.devices.message_watch import ObservedMessage, ReadingThrottle, parse_message

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def line(subject: str, body: object) -> str:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = parse_message("a", subject, data, NOW)
    assert found is not None
    return found.to_line()


@pytest.mark.parametrize(
    ("subject", "body", "expected"),
    [
        (
            "device.a.hello",
            {"id": "a", "firmware": "1.4.0", "active": {"bundle_sha256": "0f" * 32}, "staged": ["1", "2"]},
            "12:00:00.250 <- hello          firmware 1.4.0  active 0f0f0f0f…  staged [2]",
        ),
        ("device.a.hello", b"{", "12:00:00.250 <- hello          no JSON, 1 bytes"),
        (
            "command.a.error",
            {"subject": "device.a.hello", "field": "firmware", "message": "why"},
            "12:00:00.250 -> error          subject device.a.hello  field firmware  message why",
        ),
        ("telemetry.a", [{"seq": 1}, {"seq": 2}], "12:00:00.250 <- telemetry      seq 2"),
        ("command.a.chunk", b'{"offset":0,"length":2}\n\x00\xff', "12:00:00.250 -> chunk          offset 0  length 2"),
        (
            "device.alarm",
            {"device_id": "a", "kind": "drift", "state": "raised"},
            "12:00:00.250 -- device.alarm   kind drift  state raised",
        ),
    ],
)  # fmt: skip
def test_a_line(subject: str, body: object, expected: str) -> None:
    """A line has the time, the direction, the kind and the important fields."""
    assert line(subject, body) == expected


def test_events_of_other_devices_are_left_out() -> None:
    """Events of all devices have the same subject."""
    assert parse_message("a", "device.alarm", b'{"device_id":"b"}', NOW) is None
    assert parse_message("a", "device.online", b"[]", NOW) is None


def test_one_reading_a_second() -> None:
    """One per second is shown, with the number of skipped ones; all other messages are shown."""
    throttle = ReadingThrottle()

    def take(after_ms: int, subject: str = "telemetry.a", data: bytes = b"{}") -> int | None:
        found = parse_message("a", subject, data, NOW + timedelta(milliseconds=after_ms))
        assert found is not None
        passed = throttle.apply(found)
        return passed.skipped if passed else None

    assert [take(100 * n) for n in range(11)] == [0] + [None] * 9 + [9]
    assert take(1100, "device.a.bye") == 0
    assert take(1200, data=b"no JSON") == 0


bodies = st.binary(max_size=40) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "message", "seq", "active", "kind", "reason"]), inner)
    ),
).map(lambda value: json.dumps(value).encode())
subjects = st.sampled_from(
    ["device.a.hello", "telemetry.a", "command.a.error", "device.a.\x1b[2J", "command.a.chunk"]
)


@given(subjects, bodies)
def test_no_message_reaches_the_terminal_raw(subject: str, data: bytes) -> None:
    """Whatever a device sends: one printable line, and one JSON document."""
    found = parse_message("a", subject, data, NOW)
    assert isinstance(found, ObservedMessage)
    assert found.to_line().isprintable()
    json.loads(json.dumps(found.to_json()))
