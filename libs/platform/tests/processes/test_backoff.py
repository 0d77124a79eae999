"""Tests the pauses between retries."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_platform.processes.backoff import BackoffSchedule


@given(
    first_s=st.floats(0.001, 10),
    span=st.floats(1, 1000),
    factor=st.floats(1, 4),
    low=st.floats(0, 1),
    high=st.floats(1, 2),
    failures=st.integers(1, 10_000),
    seed=st.integers(),
)
def test_pauses_grow_to_a_limit(
    *, first_s: float, span: float, factor: float, low: float, high: float, failures: int, seed: int
) -> None:
    """Pauses start with the first one, never shrink, never exceed the limit, and stay within the jitter."""
    schedule = BackoffSchedule(first_s, first_s * span, factor, (low, high))
    pause_s = schedule.pause_s(failures)
    assert schedule.pause_s(1) == first_s
    assert first_s <= pause_s <= schedule.pause_s(failures + 1) <= schedule.max_s
    if pause_s < schedule.max_s:
        assert schedule.pause_s(failures + 1) == pytest.approx(min(pause_s * factor, schedule.max_s))
    jittered_s = schedule.pause_s(failures, Random(seed))
    assert pause_s * low <= jittered_s <= pause_s * high * (1 + 1e-9)
    assert jittered_s == schedule.pause_s(failures, Random(seed))
