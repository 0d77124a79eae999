"""Tests which devices are online, on simulated time, at the exact boundaries."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_telemetry.fleet.presence import (
    MAX_AGE,
    MAX_OUTAGE,
    STREAM_ORDER_TOLERANCE,
    PresenceTracker,
    Session,
    Watermark,
)
from services.telemetry.tests.samples import at

K1 = "k1-a"
MICROSECOND = 1e-6


def watermark_at(position: float, resumed_at: float = 0) -> Watermark:
    """Return a watermark at `position`."""
    watermark = Watermark(at(resumed_at))
    watermark.position = at(position)
    return watermark


def test_a_device_comes_online_once_with_its_first_message() -> None:
    """The first hello or reading starts the session; each later one extends it."""
    tracker = PresenceTracker()
    assert tracker.record_hello(K1, at(1), at(1))
    assert not tracker.record_reading(K1, at(2), at(2))
    assert not tracker.record_hello(K1, at(3), at(3))
    assert tracker.get(K1) == Session(K1, at(1), at(3))
    assert tracker.record_reading("k1-b", at(4), at(4))


@pytest.mark.parametrize(
    ("position", "offline"), [(15 - MICROSECOND, False), (15, True), (15 + MICROSECOND, True)]
)
def test_a_device_goes_offline_after_exactly_five_seconds(position: float, offline: bool) -> None:
    """The time counts from the last hello or reading; the session ends once."""
    tracker = PresenceTracker()
    tracker.record_hello(K1, at(1), at(1))
    tracker.record_reading(K1, at(10), at(10))
    assert bool(tracker.expire_silent(watermark_at(position))) is offline
    assert (tracker.get(K1) is None) is offline
    assert tracker.expire_silent(watermark_at(position)) == []


def test_the_silence_of_each_device_is_counted_separately() -> None:
    """The device that came_online online first is not silent if it still sends."""
    tracker = PresenceTracker()
    for device, second in [("k1-a", 1), ("k1-b", 2), ("k1-a", 6)]:
        tracker.record_reading(device, at(second), at(second))
    assert [session.device_id for session in tracker.expire_silent(watermark_at(7))] == ["k1-b"]


def test_a_late_message_does_not_shorten_a_session() -> None:
    """A message out of order changes nothing."""
    tracker = PresenceTracker()
    tracker.record_reading(K1, at(10), at(10))
    tracker.record_reading(K1, at(7), at(10))
    assert tracker.get(K1) == Session(K1, at(10), at(10))


@pytest.mark.parametrize(
    ("late", "comes_online"), [(MAX_AGE, True), (MAX_AGE + timedelta(microseconds=1), False)]
)
def test_an_old_message_brings_no_device_online(late: timedelta, comes_online: bool) -> None:
    """It does not show the current state; it only extends the session of a device that is online."""
    tracker = PresenceTracker([Session("k1-b", at(0), at(0))])
    assert tracker.record_reading(K1, at(1), at(1) + late) is comes_online
    assert not tracker.record_reading("k1-b", at(1), at(1) + late)
    assert tracker.get("k1-b") == Session("k1-b", at(0), at(1))


def test_a_message_confirms_a_device_that_an_earlier_leader_left_online() -> None:
    """It stays online without coming online again; an old message shows nothing of the current state."""
    tracker = PresenceTracker([Session(K1, at(0), at(0), is_confirmed=False)])
    assert not tracker.record_reading(K1, at(1), at(1) + MAX_AGE + timedelta(microseconds=1))
    assert tracker.get(K1) == Session(K1, at(0), at(1), is_confirmed=False)
    assert not tracker.record_reading(K1, at(60), at(61))
    assert tracker.get(K1) == Session(K1, at(0), at(60))


def test_a_bye_ends_the_session_until_the_next_message() -> None:
    """Readings from about that time are taken as earlier; a hello after the bye counts at once."""
    tracker = PresenceTracker()
    tracker.record_reading(K1, at(1), at(1))
    assert tracker.record_bye(K1, at(2)) == Session(K1, at(1), at(1))
    assert tracker.record_bye(K1, at(2)) is None
    assert not tracker.record_reading(K1, at(2) + STREAM_ORDER_TOLERANCE, at(3))
    assert not tracker.record_hello(K1, at(1.5), at(3))
    assert tracker.record_hello(K1, at(2.1), at(3))
    tracker.record_bye(K1, at(4))
    assert tracker.record_reading(K1, at(4.000001) + STREAM_ORDER_TOLERANCE, at(5))


def test_a_bye_of_an_earlier_connection_ends_nothing() -> None:
    """A last will may arrive when the device has already reconnected."""
    tracker = PresenceTracker()
    tracker.record_reading(K1, at(10), at(10))
    assert tracker.record_bye(K1, at(9)) is None
    assert tracker.record_bye(K1, at(10) - STREAM_ORDER_TOLERANCE) is not None


@pytest.mark.parametrize(
    ("jump", "silence_from"), [(MAX_OUTAGE, 0.0), (MAX_OUTAGE + timedelta(microseconds=1), 1.000001)]
)
def test_an_outage_counts_as_no_silence_of_a_device(jump: timedelta, silence_from: float) -> None:
    """After over a second in which nothing could be consumed, silence counts from the end of the outage."""
    watermark = Watermark(at(0))
    watermark.advance(at(0) + jump)
    assert (watermark.position, watermark.resumed_at) == (at(0) + jump, at(silence_from))
    tracker = PresenceTracker([Session(K1, at(-4), at(-4))])
    watermark.position = at(silence_from + 5 - MICROSECOND)
    assert tracker.expire_silent(watermark) == []
    watermark.position = at(silence_from + 5)
    assert tracker.expire_silent(watermark) == [Session(K1, at(-4), at(-4))]


def test_the_watermark_never_moves_back() -> None:
    """The messages of two streams may come in any order."""
    watermark = Watermark(at(5))
    watermark.advance(at(4))
    assert watermark.position == at(5)


messages = st.tuples(
    st.sampled_from(["hello", "reading", "bye", "look"]), st.sampled_from("abc"), st.integers(0, 3_000_000)
)


@given(st.lists(messages, max_size=100))
def test_any_messages_start_and_end_sessions_alternately(sent: list[tuple[str, str, int]]) -> None:
    """Each device goes online and offline alternately; without a bye it goes offline only after five silent seconds."""
    tracker, watermark, online = PresenceTracker(), Watermark(at(0)), dict[str, datetime]()
    now = at(0)
    for kind, device, gap_us in sent:
        now += timedelta(microseconds=gap_us)
        if kind == "hello":
            came_online = tracker.record_hello(device, now, now)
        elif kind == "reading":
            came_online = tracker.record_reading(device, now, now)
        else:
            came_online = False
        if came_online:
            assert device not in online
        if kind == "bye":
            assert (tracker.record_bye(device, now) is not None) is (device in online)
            online.pop(device, None)
        elif kind != "look" and (came_online or device in online):
            online[device] = now
        watermark.advance(now)
        for session in tracker.expire_silent(watermark):
            assert now - online.pop(session.device_id) >= timedelta(seconds=5)
        assert {session.device_id for session in tracker} == set(online)
