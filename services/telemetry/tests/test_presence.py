"""Who is online, on simulated time, at the exact boundaries."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_telemetry.presence import BLIND, STALE, STREAMS_APART, Attendance, Sight, Stay
from services.telemetry.tests.samples import at

K1 = "k1-a"
MICROSECOND = 1e-6


def sight(until: float, regained: float = 0) -> Sight:
    """All up to `until` was read."""
    seen = Sight(at(regained))
    seen.until = at(until)
    return seen


def test_online_at_the_first_word_and_told_once() -> None:
    """A hello or a reading, whichever is first; the stay begins there and grows with each."""
    attendance = Attendance()
    assert attendance.said_hello(K1, at(1), at(1))
    assert not attendance.sent_reading(K1, at(2), at(2))
    assert not attendance.said_hello(K1, at(3), at(3))
    assert attendance.get(K1) == Stay(K1, at(1), at(3))
    assert attendance.sent_reading("k1-b", at(4), at(4))


@pytest.mark.parametrize(("until", "gone"), [(15 - MICROSECOND, False), (15, True), (15 + MICROSECOND, True)])
def test_offline_after_exactly_five_seconds(until: float, gone: bool) -> None:
    """Counted from the last word, hello or reading; once."""
    attendance = Attendance()
    attendance.said_hello(K1, at(1), at(1))
    attendance.sent_reading(K1, at(10), at(10))
    assert bool(attendance.fell_silent(sight(until))) is gone
    assert (attendance.get(K1) is None) is gone
    assert attendance.fell_silent(sight(until)) == []


def test_each_device_has_its_own_silence() -> None:
    """Whoever came first is not silent because of it."""
    attendance = Attendance()
    for device, second in [("k1-a", 1), ("k1-b", 2), ("k1-a", 6)]:
        attendance.sent_reading(device, at(second), at(second))
    assert [stay.device_id for stay in attendance.fell_silent(sight(7))] == ["k1-b"]


def test_a_word_that_came_late_shortens_no_stay() -> None:
    """Out of order, it changes nothing."""
    attendance = Attendance()
    attendance.sent_reading(K1, at(10), at(10))
    attendance.sent_reading(K1, at(7), at(10))
    assert attendance.get(K1) == Stay(K1, at(10), at(10))


@pytest.mark.parametrize(("late", "comes"), [(STALE, True), (STALE + timedelta(microseconds=1), False)])
def test_what_was_read_too_late_brings_nobody_online(late: timedelta, comes: bool) -> None:
    """It says nothing about now; whoever is online stays so by it."""
    attendance = Attendance([Stay("k1-b", at(0), at(0))])
    assert attendance.sent_reading(K1, at(1), at(1) + late) is comes
    assert not attendance.sent_reading("k1-b", at(1), at(1) + late)
    assert attendance.get("k1-b") == Stay("k1-b", at(0), at(1))


def test_bye_ends_the_stay_until_the_next_word() -> None:
    """Readings from about that time come from before it; a hello after it counts at once."""
    attendance = Attendance()
    attendance.sent_reading(K1, at(1), at(1))
    assert attendance.said_bye(K1, at(2)) == Stay(K1, at(1), at(1))
    assert attendance.said_bye(K1, at(2)) is None
    assert not attendance.sent_reading(K1, at(2) + STREAMS_APART, at(3))
    assert not attendance.said_hello(K1, at(1.5), at(3))
    assert attendance.said_hello(K1, at(2.1), at(3))
    attendance.said_bye(K1, at(4))
    assert attendance.sent_reading(K1, at(4.000001) + STREAMS_APART, at(5))


def test_a_bye_of_an_earlier_connection_ends_nothing() -> None:
    """A last will may come when the device is back already."""
    attendance = Attendance()
    attendance.sent_reading(K1, at(10), at(10))
    assert attendance.said_bye(K1, at(9)) is None
    assert attendance.said_bye(K1, at(10) - STREAMS_APART) is not None


@pytest.mark.parametrize(
    ("jump", "silence_from"), [(BLIND, 0.0), (BLIND + timedelta(microseconds=1), 1.000001)]
)
def test_a_time_of_blindness_is_held_against_nobody(jump: timedelta, silence_from: float) -> None:
    """Where nothing could be heard for longer than a second, silence counts from when it could be again."""
    seen = Sight(at(0))
    seen.reaches(at(0) + jump)
    assert (seen.until, seen.regained) == (at(0) + jump, at(silence_from))
    attendance = Attendance([Stay(K1, at(-4), at(-4))])
    seen.until = at(silence_from + 5 - MICROSECOND)
    assert attendance.fell_silent(seen) == []
    seen.until = at(silence_from + 5)
    assert attendance.fell_silent(seen) == [Stay(K1, at(-4), at(-4))]


def test_sight_never_goes_back() -> None:
    """Messages of two streams may come in any order."""
    seen = Sight(at(5))
    seen.reaches(at(4))
    assert seen.until == at(5)


words = st.tuples(
    st.sampled_from(["hello", "reading", "bye", "look"]), st.sampled_from("abc"), st.integers(0, 3_000_000)
)


@given(st.lists(words, max_size=100))
def test_whatever_is_said_stays_begin_and_end_in_turn(said: list[tuple[str, str, int]]) -> None:
    """Every device is told online and offline alternately, and only after five silent seconds without a bye."""
    attendance, seen, online = Attendance(), Sight(at(0)), dict[str, object]()
    now = at(0)
    for word, device, gap_us in said:
        now += timedelta(microseconds=gap_us)
        if word == "hello":
            came = attendance.said_hello(device, now, now)
        elif word == "reading":
            came = attendance.sent_reading(device, now, now)
        else:
            came = False
        if came:
            assert device not in online
        if word == "bye":
            assert (attendance.said_bye(device, now) is not None) is (device in online)
            online.pop(device, None)
        elif word != "look" and (came or device in online):
            online[device] = now
        seen.reaches(now)
        for stay in attendance.fell_silent(seen):
            assert now - online.pop(stay.device_id) >= timedelta(seconds=5)
        assert {stay.device_id for stay in attendance} == set(online)
