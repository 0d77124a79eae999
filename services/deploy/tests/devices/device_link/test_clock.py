"""The offset of a device's clock."""

import math

from hypothesis import given
from hypothesis import strategies as st

from k1_deploy.devices.device_link.clock import RoundTrip, best_offset_ms, to_device_ms, to_unix_ms

UNIX_MS = st.floats(1.6e12, 2.1e12)
OFFSETS = st.floats(-2.1e12, 2.1e12)
DELAYS = st.floats(0, 5000)
ANY = st.floats(allow_nan=True, allow_infinity=True)
ROUNDING_MS = 0.01
"""A double holds 2e12 ms to 0.0003 ms; a handful of such errors add up."""


def trip(sent: float, offset: float, there: float, thinking: float, back: float) -> RoundTrip:
    """Return the round trip that two clocks with this `offset` show."""
    return RoundTrip(
        sent, sent + there + offset, sent + there + thinking + offset, sent + there + thinking + back
    )


@given(UNIX_MS, OFFSETS, DELAYS, DELAYS, DELAYS)
def test_the_error_is_at_most_half_the_round_trip(
    sent: float, offset: float, there: float, thinking: float, back: float
) -> None:
    """Whatever the delays, and however long the device takes."""
    measured = trip(sent, offset, there, thinking, back)
    assert abs(measured.offset_ms - offset) <= (there + back) / 2 + ROUNDING_MS
    assert math.isclose(measured.duration_ms, there + back, abs_tol=ROUNDING_MS)


@given(UNIX_MS, OFFSETS, st.lists(st.tuples(DELAYS, DELAYS), min_size=1, max_size=8))
def test_the_shortest_round_trip_counts(sent: float, offset: float, ways: list[tuple[float, float]]) -> None:
    """The result of several measurements is as good as the bound of the best one."""
    best = best_offset_ms(trip(sent, offset, there, 1, back) for there, back in ways)
    if best is not None:  # rounding can make a round trip of nothing a negative one
        assert abs(best - offset) <= min(there + back for there, back in ways) / 2 + 2 * ROUNDING_MS


@given(st.lists(st.builds(RoundTrip, ANY, ANY, ANY, ANY), max_size=6), UNIX_MS)
def test_impossible_times_are_ignored(hostile: list[RoundTrip], sent: float) -> None:
    """Invalid numbers give a finite offset or none; if all are impossible, none."""
    found = best_offset_ms(hostile)
    assert (found is None) == (not any(trip.plausible for trip in hostile))
    assert found is None or math.isfinite(found)


def test_a_device_that_answers_before_it_was_asked() -> None:
    """A negative processing time, longer than the round trip, is impossible."""
    assert best_offset_ms([RoundTrip(1000, 50, 40, 1010), RoundTrip(1000, 50, 90, 1010)]) is None
    assert best_offset_ms([RoundTrip(1000, 55, 55, 1010), RoundTrip(1000, 90, 190, 1010)]) == -950


@given(UNIX_MS, OFFSETS)
def test_conversions_are_inverse(unix_ms: float, offset: float) -> None:
    """A moment that is converted to the device's clock and back stays the same."""
    assert math.isclose(to_unix_ms(to_device_ms(unix_ms, offset), offset), unix_ms, abs_tol=ROUNDING_MS)
