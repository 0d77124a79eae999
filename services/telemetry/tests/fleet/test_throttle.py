"""Tests the rate limit of live samples on simulated time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_telemetry.leadership.throttle import HOLD_S, LIVE_PER_SECOND, Throttle

K1 = "k1-a"


def passed(times_ms: list[float]) -> list[float]:
    """Return the times of the readings that pass at once."""
    throttle = Throttle[float]()
    return [time_ms for time_ms in times_ms if throttle.offer(K1, time_ms, time_ms / 1000)]


@given(st.lists(st.floats(-24.9, 24.9), min_size=1, max_size=300))
def test_a_device_at_ten_a_second_is_never_delayed(jitters_ms: list[float]) -> None:
    """All readings pass although their times vary by up to a quarter of the interval."""
    times = [1000 + number * 100 + jitter for number, jitter in enumerate(jitters_ms)]
    assert passed(times) == times


def test_after_a_stall_the_excess_is_dropped_and_nothing_is_late() -> None:
    """Half a second of readings comes at once, then ten a second: the excess is dropped, the rest passes at once."""
    stalled, after = [1000.0] * 5, [1030.0 + number * 100 for number in range(100)]
    assert passed(stalled) == [1000]
    assert passed([*stalled, *after])[1:] == after[1:]


def test_a_hundred_a_second_are_reduced_to_ten_evenly() -> None:
    """About every tenth reading passes."""
    times = passed([number * 10.0 for number in range(1000)])
    assert len(times) == pytest.approx(100, abs=1)
    assert all(90 <= later - earlier <= 110 for earlier, later in pairwise(times[1:]))


def test_devices_are_limited_independently() -> None:
    """Each device has its own ten a second; a forgotten device starts with a clean state."""
    throttle = Throttle[int]()
    assert [throttle.offer("a", 1, 0), throttle.offer("b", 1, 0), throttle.offer("a", 2, 0)] == [
        True,
        True,
        False,
    ]
    throttle.forget("a")
    assert list(throttle.due(9)) == []
    assert throttle.offer("a", 3, 0)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=100))
def test_at_most_ten_a_second_pass_and_the_newest_passes_last(gaps_ms: list[int]) -> None:
    """At most eleven pass in any second, in order, and the newest passes soon after the last reading."""
    throttle, now_ms, published = Throttle[int](), 0, list[tuple[int, int]]()
    for number, gap_ms in enumerate(gaps_ms):
        now_ms += gap_ms
        published += [(now_ms, item) for _, item in throttle.due(now_ms / 1000)]
        if throttle.offer(K1, number, now_ms / 1000):
            published.append((now_ms, number))
    now_ms += round(HOLD_S * 1000) + 1
    published += [(now_ms, item) for _, item in throttle.due(now_ms / 1000)]
    times = [time_ms for time_ms, _ in published]
    assert all(b - a >= 1000 for a, b in zip(times, times[LIVE_PER_SECOND + 1 :], strict=False))
    items = [item for _, item in published]
    assert items == sorted(items)
    assert items[-1] == len(gaps_ms) - 1
