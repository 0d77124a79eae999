"""Answers about jobs, from real stores and buckets."""

import asyncio
import json
from datetime import timedelta

import pytest
from nats.js import JetStreamContext

from k1_catalogue.intake import Intake
from k1_catalogue.job_questions import JobQuestions
from k1_contracts import streams
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import (
    GetJob,
    JobProgress,
    ListJobs,
    RequestAnalysis,
    RequestTrackAnalysis,
)
from k1_platform.database import Pool
from k1_platform.objects import ObjectStore
from k1_platform.rpc import AnswerError
from services.catalogue.tests.conftest import NOW
from services.catalogue.tests.songs import UPLOADED, Song, event


async def uploaded(intake: Intake, number: int = 0, **fields: object) -> Song:
    song = Song(uploaded_at=UPLOADED + timedelta(seconds=number))
    await intake.track_uploaded(event(song.uploaded(**fields)))
    return song


async def test_the_queue(job_questions: JobQuestions, intake: Intake) -> None:
    """By priority, then by age; without a completed analysis nothing is estimated."""
    songs = [await uploaded(intake, n, priority=p) for n, p in enumerate((5, 5, 9, 1))]
    views = [await job_questions.get_job(GetJob(job_id=song.job_id)) for song in songs]
    assert [view.queue_position for view in views] == [2, 3, 1, 4]
    assert {view.estimated_seconds_remaining for view in views} == {None}
    assert views[0].log_tail == ["2026-03-01T11:00:00.000Z uploaded by ingest: night drive.mp3"]


async def test_estimates_come_from_the_latest_analyses(
    job_questions: JobQuestions, intake: Intake, objects: ObjectStore
) -> None:
    """Two seconds for twenty of audio: the next has 2 s to go, the one after it 4; a running one what is left."""
    done, running, first, second = [await uploaded(intake, number) for number in range(4)]
    await intake.analysis_completed(event(await done.analysed(objects)))
    started = running.started().model_copy(update={"started_at": NOW - timedelta(seconds=0.5)})
    await intake.analysis_started(event(started))
    remaining = [
        (await job_questions.get_job(GetJob(job_id=song.job_id))).estimated_seconds_remaining
        for song in (running, first, second, done)
    ]
    assert remaining == [1.5, 3.5, 5.5, None]


async def test_progress_is_the_workers_newest(
    job_questions: JobQuestions, intake: Intake, jetstream: JetStreamContext
) -> None:
    """A running job shows what its worker last told; one that has ended does not."""
    song = await uploaded(intake)
    progress = JobProgress(
        job_id=song.job_id, track_id=song.track_id, stage="beats", percent=40, message="4 of 10", at=NOW
    )
    bucket = await jetstream.key_value(streams.JOB_PROGRESS.name)
    await bucket.put(song.job_id, progress.to_json())
    assert (await job_questions.get_job(GetJob(job_id=song.job_id))).progress is None
    await intake.analysis_started(event(song.started()))
    view = await job_questions.get_job(GetJob(job_id=song.job_id))
    assert (view.stage, view.percent, view.progress) == ("beats", 40, progress)
    assert view.log_tail[-1] == "2026-03-01T12:00:00.000Z beats: 4 of 10"
    [listed] = (await job_questions.list_jobs(ListJobs(status="processing"))).items
    assert listed.percent == 40


async def test_a_failed_job_says_why(job_questions: JobQuestions, intake: Intake) -> None:
    """With its code, and in its log."""
    song = await uploaded(intake)
    await intake.analysis_failed(event(song.failed()))
    view = await job_questions.get_job(GetJob(job_id=song.job_id))
    assert view.error is not None
    assert (view.status, view.error.code) == ("failed", "not_decodable")
    assert view.log_tail[-1].endswith("failed by analysis: not_decodable: The file cannot be decoded.")


async def test_jobs_newest_first(job_questions: JobQuestions, intake: Intake) -> None:
    """With the number of all of that status."""
    songs = [await uploaded(intake, number) for number in range(3)]
    await intake.analysis_failed(event(songs[1].failed()))
    page = await job_questions.list_jobs(ListJobs(limit=2))
    assert (page.total, [view.job_id for view in page.items]) == (3, [songs[2].job_id, songs[1].job_id])
    queued = await job_questions.list_jobs(ListJobs(status="queued"))
    assert (queued.total, [view.queue_position for view in queued.items]) == (2, [2, 1])


async def test_cancelling(job_questions: JobQuestions, intake: Intake, jetstream: JetStreamContext) -> None:
    """The workers are told through the bucket; the job is cancelled when they say so, and then no more."""
    song = await uploaded(intake)
    view = await job_questions.cancel_job(GetJob(job_id=song.job_id))
    assert view.status == "queued"
    entry = await (await jetstream.key_value(streams.JOB_CANCELS.name)).get(song.job_id)
    assert entry.value == b"2026-03-01T12:00:00.000Z"
    await intake.analysis_cancelled(event(song.cancelled()))
    with pytest.raises(AnswerError) as caught:
        await job_questions.cancel_job(GetJob(job_id=song.job_id))
    assert (caught.value.code, caught.value.status) == ("job_ended", 409)


async def test_requesting_another_analysis(
    job_questions: JobQuestions, intake: Intake, pool: Pool, objects: ObjectStore
) -> None:
    """The next version, its job and the command to the workers appear together; the track stays ready."""
    song = await uploaded(intake, preset="edm")
    await intake.analysis_completed(event(await song.analysed(objects)))
    request = RequestTrackAnalysis(track_id=song.track_id, preset="rock", priority=8)
    accepted = await job_questions.request_analysis(request)
    assert (accepted.version, accepted.queue_position, accepted.estimated_seconds) == (2, 1, 2.0)
    row = await pool.fetchrow("SELECT stream, subject, headers, body FROM catalogue.outbox")
    assert row is not None
    command = RequestAnalysis.model_validate_json(row["body"])
    assert (row["stream"], row["subject"]) == ("EVENTS", "analysis.requested")
    assert json.loads(row["headers"])["ce-subject"] == accepted.job_id
    assert (command.job_id, command.version, command.preset, command.priority) == (
        accepted.job_id,
        2,
        "rock",
        8,
    )
    assert command.audio == song.uploaded().audio
    assert await pool.fetchval("SELECT status FROM catalogue.tracks") == "ready"


async def test_requests_at_once_get_versions_of_their_own(
    job_questions: JobQuestions, intake: Intake
) -> None:
    """No version is given twice."""
    song = await uploaded(intake)
    request = RequestTrackAnalysis(track_id=song.track_id)
    accepted = await asyncio.gather(*(job_questions.request_analysis(request) for _ in range(5)))
    assert sorted(each.version for each in accepted) == [2, 3, 4, 5, 6]


async def test_a_failed_track_is_processing_again(
    job_questions: JobQuestions, intake: Intake, pool: Pool
) -> None:
    """A track without any map waits for the new analysis."""
    song = await uploaded(intake)
    await intake.analysis_failed(event(song.failed()))
    await job_questions.request_analysis(RequestTrackAnalysis(track_id=song.track_id))
    assert await pool.fetchval("SELECT status FROM catalogue.tracks") == "processing"


async def test_the_same_key_is_the_same_request(
    job_questions: JobQuestions, intake: Intake, pool: Pool
) -> None:
    """However often and however close together, one job is made and the same answer given."""
    song = await uploaded(intake)
    request = RequestTrackAnalysis(track_id=song.track_id, idempotency_key="once")
    answers = await asyncio.gather(*(job_questions.request_analysis(request) for _ in range(3)))
    await uploaded(intake, 1, priority=10)
    answers.append(await job_questions.request_analysis(request))
    assert len({answer.model_dump_json() for answer in answers}) == 1
    assert await pool.fetchval("SELECT count(*) FROM catalogue.outbox") == 1
    with pytest.raises(AnswerError) as caught:
        await job_questions.request_analysis(request.model_copy(update={"priority": 1}))
    assert (caught.value.code, caught.value.status) == ("idempotency_key_reused", 422)


async def test_what_is_not_there(job_questions: JobQuestions) -> None:
    """Unknown jobs and tracks are told apart."""
    job, track = GetJob(job_id=new_id("job")), RequestTrackAnalysis(track_id=new_id("trk"))
    for ask, code in (
        (job_questions.get_job(job), "job_not_found"),
        (job_questions.cancel_job(job), "job_not_found"),
        (job_questions.request_analysis(track), "track_not_found"),
    ):
        with pytest.raises(AnswerError) as caught:
            await ask
        assert (caught.value.code, caught.value.status) == (code, 404)
