"""Tests of the estimates of how long jobs take."""

import pytest

from k1_catalogue.jobs.estimates import (
    AnalysisSpeed,
    QueuePlace,
    RunningJob,
    measure_speed,
    queued_job_seconds,
    running_job_seconds,
)

SPEED = AnalysisSpeed(seconds_per_minute=2.0, typical_seconds=7.0)


def test_the_median_speed_ignores_outliers() -> None:
    """One analysis that hung does not change the estimates of all others."""
    samples = [(6000.0, 180_000.0), (8000.0, 240_000.0), (600_000.0, 60_000.0)]
    assert measure_speed(samples) == AnalysisSpeed(2.0, 8.0)


def test_no_estimate_without_samples() -> None:
    """Without a completed analysis there is no estimate."""
    assert measure_speed([]) is None
    assert queued_job_seconds(QueuePlace(1, 60_000, 0, 0), [], None) is None
    assert running_job_seconds(RunningJob(60_000, 1), None) is None


@pytest.mark.parametrize(
    ("place", "running", "seconds"),
    [
        (QueuePlace(1, 60_000, 0, 0), [], 2.0),
        (QueuePlace(1, None, 0, 0), [], 7.0),
        (QueuePlace(3, 60_000, 120_000, 1), [], 2.0 + 4.0 + 7.0),
        (QueuePlace(2, 60_000, 60_000, 0), [RunningJob(60_000, 1.0)], 2.0 + 2.0 + 1.0),
        (
            QueuePlace(2, 60_000, 60_000, 0),
            [RunningJob(60_000, 1.0), RunningJob(60_000, 9.0)],
            2.0 + (2.0 + 1.0) / 2,
        ),
    ],
)
def test_estimate_of_a_queued_job(place: QueuePlace, running: list[RunningJob], seconds: float) -> None:
    """An estimate is the work ahead, shared by the running jobs, plus the job's own work."""
    assert seconds == pytest.approx(queued_job_seconds(place, running, SPEED))


def test_estimate_of_a_running_job_is_never_negative() -> None:
    """The estimate of a job that takes longer than expected is 0, never negative."""
    assert running_job_seconds(RunningJob(60_000, 0.5), SPEED) == pytest.approx(1.5)
    assert running_job_seconds(RunningJob(60_000, 30), SPEED) == 0
