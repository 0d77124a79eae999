"""The rules of jobs, versions and tracks."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.errors import IllegalTransitionError
from k1_catalogue.lifecycle import Job, JobFact, TrackState, receive, track_state, version_status
from k1_contracts.tracks import JobStatus, TrackStatus
from services.catalogue.tests.songs import Song

SONG = Song()
JOB = Job(SONG.job_id, SONG.track_id, SONG.version)
FACTS: list[JobFact] = [
    SONG.started(1),
    SONG.started(2, "wrk-2"),
    SONG.started(2, "wrk-3").model_copy(update={"started_at": SONG.uploaded_at + timedelta(seconds=5)}),
    SONG.completed(),
    SONG.failed(),
    SONG.cancelled(),
]
RANK = ["queued", "processing", "failed", "cancelled", "completed"]


def after(facts: list[JobFact]) -> Job:
    job = JOB
    for fact in facts:
        job = receive(job, fact)
    return job


@given(st.sets(st.sampled_from(range(len(FACTS)))), st.data())
def test_any_order_and_repetition_ends_in_the_same_state(told: set[int], data: st.DataObject) -> None:
    """However the same facts are shuffled and repeated, the job ends the same; nothing raises."""
    expected = after([FACTS[index] for index in sorted(told)])
    again = data.draw(st.lists(st.sampled_from(sorted(told)))) if told else []
    order = data.draw(st.permutations([*sorted(told), *again]))
    assert expected == after([FACTS[index] for index in order])


@given(st.lists(st.sampled_from(FACTS)))
def test_a_job_only_ever_rises(facts: list[JobFact]) -> None:
    """No fact takes a job back: an ending gives way only to a higher one."""
    job = JOB
    for fact in facts:
        following = receive(job, fact)
        assert RANK.index(following.status) >= RANK.index(job.status)
        job = following


def test_the_ordinary_way() -> None:
    """Queued, processing, completed; the last attempt's worker is remembered."""
    job = after([SONG.started(), SONG.completed()])
    assert (job.status, job.worker_id, job.elapsed_ms) == ("completed", "wrk-1", 2000.0)


def test_completed_before_started() -> None:
    """A start that is told late says who worked, but does not start the job again."""
    job = after([SONG.completed(), SONG.started()])
    assert (job.status, job.worker_id) == ("completed", "wrk-1")


def test_a_map_that_exists_beats_a_failure() -> None:
    """A redelivered job that failed and then completed has completed, without an error."""
    job = after([SONG.started(), SONG.failed(), SONG.completed()])
    assert (job.status, job.error) == ("completed", None)
    assert after([SONG.completed(), SONG.failed()]).status == "completed"


@pytest.mark.parametrize(
    ("facts", "method", "fact"),
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
def test_illegal_transitions_raise(facts: list[JobFact], method: str, fact: JobFact) -> None:
    """A named transition that is not legal raises; it is never silently ignored."""
    with pytest.raises(IllegalTransitionError, match=SONG.job_id):
        getattr(after(facts), method)(fact)


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
    known = summary and SONG.completed().summary.model_copy(update=summary)
    assert status == version_status(job, known or None)


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
def test_track_state(versions: dict[int, TrackStatus], expected: TrackState) -> None:
    """The newest version with a map is in use; a reanalysis that runs or fails changes nothing."""
    assert expected == track_state(versions)
