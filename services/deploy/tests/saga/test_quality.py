"""The quality of a device: its drift, bar by bar."""

from datetime import timedelta

import pytest

from k1_contracts.messages.deploy.deployments import Quality
from k1_deploy.saga.quality import DriftMeter, QualityVerdict, bar_length, time_limit
from services.deploy.tests.saga.sample_deployment import START

BAR = timedelta(seconds=2)
QUALITY = Quality(max_drift_ms=20, bars=3)


def measure(*readings: tuple[float, float]) -> QualityVerdict | None:
    """Return the first verdict on readings given as (seconds, drift in ms)."""
    meter = DriftMeter(QUALITY, BAR)
    verdicts = (meter.add(START + timedelta(seconds=seconds), drift) for seconds, drift in readings)
    return next(filter(None, verdicts), None)


def test_a_device_passes_when_the_last_bar_is_over() -> None:
    """Not a microsecond earlier, and a drift exactly at the bound is within it, in both directions."""
    steady = [(0.0, 20.0), (1.0, -20.0), (3.0, 0.0), (5.0, 5.0)]
    assert measure(*steady, (5.999999, 1.0)) is None
    assert measure(*steady, (6.0, 1.0)) == QualityVerdict(passed=True, bars=3, max_drift_ms=20.0)


@pytest.mark.parametrize("drift", [20.000001, -20.000001])
def test_one_reading_beyond_the_bound_ends_it(drift: float) -> None:
    """The reason names the bar."""
    verdict = measure((0.0, 1.0), (2.5, drift), (3.0, 1.0))
    assert verdict is not None
    assert not verdict.passed
    assert verdict.reason == f"drift_ms {drift:+.1f} in bar 1 of 3, more than 20"


def test_a_bar_without_a_reading_starts_the_count_again() -> None:
    """Nothing is known of it; the bars that follow count from the next reading."""
    gap = [(0.0, 1.0), (2.0, 1.0), (6.0, 1.0), (8.0, 1.0), (10.0, 1.0)]
    assert measure(*gap) is None
    assert measure(*gap, (12.0, 1.0)) == QualityVerdict(passed=True, bars=3, max_drift_ms=1.0)


def test_bars_have_the_usual_length_of_the_song() -> None:
    """A pause between two parts does not count; a map without bars has none."""
    assert bar_length([0, 2000, 4000, 9000, 11000]) == timedelta(seconds=2)
    assert bar_length([500]) is None
    assert time_limit(QUALITY, BAR) == timedelta(seconds=48)
