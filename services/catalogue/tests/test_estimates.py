"""Estimates of how long jobs take."""

import pytest

from k1_catalogue.estimates import Running, Speed, Waiting, measure_speed, running_seconds, waiting_seconds

SPEED = Speed(seconds_a_minute=2.0, typical_seconds=7.0)


def test_the_median_speed_ignores_outliers() -> None:
    """One analysis that hung does not change what is told to everybody."""
    samples = [(6000.0, 180_000.0), (8000.0, 240_000.0), (600_000.0, 60_000.0)]
    assert measure_speed(samples) == Speed(2.0, 8.0)


def test_nothing_known_is_none() -> None:
    """Without a completed analysis no number is invented."""
    assert measure_speed([]) is None
    assert waiting_seconds(Waiting(1, 60_000, 0, 0), [], None) is None
    assert running_seconds(Running(60_000, 1), None) is None


@pytest.mark.parametrize(
    ("place", "running", "seconds"),
    [
        (Waiting(1, 60_000, 0, 0), [], 2.0),
        (Waiting(1, None, 0, 0), [], 7.0),
        (Waiting(3, 60_000, 120_000, 1), [], 2.0 + 4.0 + 7.0),
        (Waiting(2, 60_000, 60_000, 0), [Running(60_000, 1.0)], 2.0 + 2.0 + 1.0),
        (Waiting(2, 60_000, 60_000, 0), [Running(60_000, 1.0), Running(60_000, 9.0)], 2.0 + (2.0 + 1.0) / 2),
    ],
)
def test_waiting(place: Waiting, running: list[Running], seconds: float) -> None:
    """The work ahead, shared by those who work, and then its own."""
    assert seconds == pytest.approx(waiting_seconds(place, running, SPEED))


def test_a_running_job_never_has_less_than_nothing_left() -> None:
    """A job that takes longer than thought is told to end now, not in the past."""
    assert running_seconds(Running(60_000, 0.5), SPEED) == pytest.approx(1.5)
    assert running_seconds(Running(60_000, 30), SPEED) == 0
