"""Tests of the estimates of how long jobs take."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.jobs.estimates import (
    AnalysisSpeed,
    LatestAnalyses,
    QueuePlace,
    RunningJob,
    Sample,
    measure_analyses,
    most_at_once,
    queued_job_seconds,
    running_job_seconds,
)

SPEED = AnalysisSpeed(seconds_per_minute=2.0, typical_seconds=7.0)
LATEST = LatestAnalyses(SPEED, {})
AT = datetime(2026, 1, 1, tzinfo=UTC)

lengths_ms = st.floats(min_value=1_000, max_value=3_600_000)
lengths_or_unknown = st.none() | lengths_ms
presets = st.sampled_from([None, "edm", "rock"])


def sample(
    minutes: float, seconds: float, *, preset: str | None = None, start: datetime = AT, before: float = 0
) -> Sample:
    start -= timedelta(seconds=before)
    return Sample(preset, minutes * 60_000, seconds * 1000, start, start + timedelta(seconds=seconds))


samples = st.builds(
    sample,
    st.floats(min_value=0.05, max_value=60),
    st.floats(min_value=0, max_value=3600),
    preset=presets,
    before=st.floats(min_value=0, max_value=86_400),
)
histories = st.lists(samples, min_size=1, max_size=30)
running_jobs = st.lists(
    st.builds(RunningJob, lengths_or_unknown, st.floats(min_value=0, max_value=3600), presets), max_size=6
)


def measured(history: list[Sample]) -> LatestAnalyses:
    latest = measure_analyses(history)
    assert latest is not None
    return latest


def place_after(ahead: list[float | None], audio_ms: float | None, preset: str | None) -> QueuePlace:
    known = [each for each in ahead if each is not None]
    return QueuePlace(len(ahead) + 1, audio_ms, sum(known), len(ahead) - len(known), preset)


def test_analyses_that_hung_change_nothing() -> None:
    """Two analyses of nine that hung do not change the estimates of all others."""
    history = [sample(minutes, 3 + 2 * minutes) for minutes in (1, 2, 3, 4, 5, 6, 7)]
    latest = measured([*history, sample(2, 600), sample(5, 900)])
    assert latest.work_seconds(None, 240_000) == pytest.approx(11, abs=1)


@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=20, unique=True),
    st.floats(min_value=0, max_value=60),
    st.floats(min_value=0, max_value=60),
    lengths_ms,
)
def test_exact_data_gives_exact_estimates(
    minutes: list[int], constant: float, rate: float, audio_ms: float
) -> None:
    """Jobs that take exactly a constant and a rate are predicted exactly."""
    latest = measured([sample(each, constant + rate * each) for each in minutes])
    expected = constant + rate * audio_ms / 60_000
    assert latest.work_seconds(None, audio_ms) == pytest.approx(expected, rel=1e-6, abs=1e-4)


def test_songs_of_one_length_give_a_rate() -> None:
    """Lengths that hardly differ say nothing about the constant: the time grows with the length alone."""
    latest = measured([sample(3, 6), sample(3.01, 9), sample(2.99, 5)])
    assert latest.work_seconds(None, 600_000) == pytest.approx(20)


def test_a_preset_has_its_own_speed_after_three_analyses() -> None:
    """Two analyses of a preset are too few; with the third its own speed counts, for no other preset."""
    history = [sample(each, 2 * each) for each in (1, 2, 3, 4, 5, 6)]
    slow = [sample(each, 10 * each, preset="edm") for each in (1, 2, 3)]
    assert measured([*history, *slow[:2]]).work_seconds("edm", 60_000) == pytest.approx(2)
    latest = measured([*history, *slow])
    assert latest.work_seconds("edm", 60_000) == pytest.approx(10)
    assert latest.work_seconds("rock", 60_000) == pytest.approx(2)


@given(
    histories,
    st.tuples(lengths_ms, lengths_ms),
    st.lists(lengths_or_unknown, max_size=8),
    running_jobs,
    presets,
)
def test_a_longer_song_never_ends_sooner(
    history: list[Sample],
    lengths: tuple[float, float],
    ahead: list[float | None],
    running: list[RunningJob],
    preset: str | None,
) -> None:
    """Estimates are never negative and grow with the length of the song."""
    latest = measured(history)
    short, long = (
        queued_job_seconds(place_after(ahead, each, preset), running, latest) for each in sorted(lengths)
    )
    assert short is not None
    assert long is not None
    assert 0 <= short <= long


@given(histories, st.lists(lengths_or_unknown, min_size=1, max_size=8), running_jobs, presets)
def test_a_longer_queue_never_ends_sooner(
    history: list[Sample], ahead: list[float | None], running: list[RunningJob], preset: str | None
) -> None:
    """Estimates grow with the number of jobs ahead."""
    latest = measured(history)
    shorter = queued_job_seconds(place_after(ahead[:-1], 60_000, preset), running, latest)
    longer = queued_job_seconds(place_after(ahead, 60_000, preset), running, latest)
    assert shorter is not None
    assert longer is not None
    assert shorter <= longer + 1e-6


def test_no_estimate_without_samples() -> None:
    """Without a completed analysis there is no estimate."""
    assert measure_analyses([]) is None
    assert queued_job_seconds(QueuePlace(1, 60_000, 0, 0), [], None) is None
    assert running_job_seconds(RunningJob(60_000, 1), None) is None


@pytest.mark.parametrize(
    ("place", "running", "seconds"),
    [
        (QueuePlace(1, 60_000, 0, 0), [], 2.0),
        (QueuePlace(1, None, 0, 0), [], 7.0),
        (QueuePlace(4, 60_000, 120_000, 1), [], 2.0 + 4.0 + 7.0),
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
    assert seconds == pytest.approx(queued_job_seconds(place, running, LATEST))


def test_the_workers_are_those_that_ran_at_once_lately() -> None:
    """Three jobs ran at once: with one running now, the second in the queue starts at once and the third waits."""
    latest = measured([sample(1, 2, before=each) for each in (0, 0.5, 1, 60, 120)])
    running = [RunningJob(60_000, 0.0)]
    assert queued_job_seconds(QueuePlace(2, 60_000, 60_000, 0), running, latest) == pytest.approx(2)
    assert queued_job_seconds(QueuePlace(3, 60_000, 120_000, 0), running, latest) == pytest.approx(6 / 3 + 2)


def test_spans_that_touch_do_not_overlap() -> None:
    """A job that starts as another ends runs on the same worker."""
    times = [AT + timedelta(seconds=each) for each in range(4)]
    assert most_at_once([]) == 0
    assert most_at_once(pairwise(times)) == 1
    assert most_at_once([(times[0], times[2]), (times[1], times[3])]) == 2


def test_estimate_of_a_running_job_is_never_negative() -> None:
    """The estimate of a job that takes longer than expected is 0, never negative."""
    assert running_job_seconds(RunningJob(60_000, 0.5), LATEST) == pytest.approx(1.5)
    assert running_job_seconds(RunningJob(60_000, 30), LATEST) == 0
