"""Tests of the statuses of jobs, versions and tracks."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.jobs.lifecycle import IllegalTransitionError, Job, JobEvent, apply_event
from k1_catalogue.tracks.status import TrackState, track_state, version_status
from k1_contracts.tracks import JobStatus, TrackStatus, VersionStatus
from services.catalogue.tests.song_samples import Song

SONG = Song()
JOB = Job(SONG.job_id, SONG.track_id, SONG.version)
EVENTS: list[JobEvent] = [
    SONG.started(1),
    SONG.started(2, "wrk-2"),
    SONG.started(2, "wrk-3").model_copy(update={"started_at": SONG.uploaded_at + timedelta(seconds=5)}),
    SONG.completed(),
    SONG.failed(),
    SONG.cancelled(),
]
RANK = ["queued", "processing", "failed", "cancelled", "completed"]


def after(events: list[JobEvent]) -> Job:
    job = JOB
    for event in events:
        job = apply_event(job, event)
    return job


@given(st.sets(st.sampled_from(range(len(EVENTS)))), st.data())
def test_events_in_any_order_and_number(chosen: set[int], data: st.DataObject) -> None:
    """The same events in any order and number lead to the same job; none raises."""
    expected = after([EVENTS[index] for index in sorted(chosen)])
    again = data.draw(st.lists(st.sampled_from(sorted(chosen)))) if chosen else []
    order = data.draw(st.permutations([*sorted(chosen), *again]))
    assert expected == after([EVENTS[index] for index in order])


@given(st.lists(st.sampled_from(EVENTS)))
def test_the_rank_of_a_status_never_falls(events: list[JobEvent]) -> None:
    """No event lowers the rank of a job's status: a final status gives way only to a higher one."""
    job = JOB
    for event in events:
        changed = apply_event(job, event)
        assert RANK.index(changed.status) >= RANK.index(job.status)
        job = changed


def test_the_usual_transitions() -> None:
    """A job is queued, processing, completed; it has the worker of the last attempt."""
    job = after([SONG.started(), SONG.completed()])
    assert (job.status, job.worker_id, job.elapsed_ms) == ("completed", "wrk-1", 2000.0)


def test_completed_before_started() -> None:
    """A late start records the worker, but does not start the job again."""
    job = after([SONG.completed(), SONG.started()])
    assert (job.status, job.worker_id) == ("completed", "wrk-1")


def test_completed_outranks_failed() -> None:
    """A job that failed and then completed is completed, without an error."""
    job = after([SONG.started(), SONG.failed(), SONG.completed()])
    assert (job.status, job.error) == ("completed", None)
    assert after([SONG.completed(), SONG.failed()]).status == "completed"


@pytest.mark.parametrize(
    ("events", "method", "event"),
    [
        ([SONG.completed()], "start", SONG.started()),
        ([SONG.completed()], "complete", SONG.completed()),
        ([SONG.completed()], "fail", SONG.failed()),
        ([SONG.completed()], "cancel", SONG.cancelled()),
        ([SONG.cancelled()], "start", SONG.started()),
        ([SONG.cancelled()], "fail", SONG.failed()),
        ([SONG.failed()], "start", SONG.started()),
        ([SONG.failed()], "fail", SONG.failed()),
    ],
)
def test_illegal_transitions_raise(events: list[JobEvent], method: str, event: JobEvent) -> None:
    """A method for an illegal transition raises; it never returns an unchanged job."""
    with pytest.raises(IllegalTransitionError, match=SONG.job_id):
        getattr(after(events), method)(event)


@pytest.mark.parametrize(
    ("job", "summary", "status"),
    [
        ("queued", None, "processing"),
        ("processing", None, "processing"),
        ("completed", {"f_measure": 0.80}, "ready"),
        ("completed", {"f_measure": 0.799}, "warning"),
        ("completed", {"f_measure": 1.0, "integrity": 0.849}, "warning"),
        ("completed", {"f_measure": 1.0, "integrity": 0.85}, "ready"),
        ("failed", None, "failed"),
        ("cancelled", None, "failed"),
    ],
)
def test_version_status(job: JobStatus, summary: dict[str, float] | None, status: TrackStatus) -> None:
    """A version is ready if its trackers agree to 0.80 or more and nearly all of its audio was decoded."""
    known = SONG.completed().summary.model_copy(update=summary) if summary else None
    assert status == version_status(job, known)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({1: "processing"}, TrackState("processing", None)),
        ({1: "failed"}, TrackState("failed", None)),
        ({1: "failed", 2: "processing"}, TrackState("processing", None)),
        ({1: "ready"}, TrackState("ready", 1)),
        ({1: "ready", 2: "processing"}, TrackState("ready", 1)),
        ({1: "warning", 2: "failed"}, TrackState("warning", 1)),
        ({1: "ready", 2: "warning"}, TrackState("warning", 2)),
        ({1: "failed", 2: "ready", 3: "failed"}, TrackState("ready", 2)),
    ],
)
def test_track_state(versions: dict[int, VersionStatus], expected: TrackState) -> None:
    """The newest version with a map is in use; a reanalysis that runs or fails changes nothing."""
    assert expected == track_state(versions)
