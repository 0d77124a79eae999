"""Tests of the queries about jobs, with real stores and buckets."""

import asyncio
import json
from datetime import timedelta

import pytest
from nats.js import JetStreamContext

from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.queries import JobQueries
from k1_contracts import streams
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import (
    GetJob,
    JobCost,
    JobProgress,
    ListJobs,
    RequestAnalysis,
    RequestTrackAnalysis,
    RetryJob,
)
from k1_platform.cursors import cursor_after
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.conftest import NOW
from services.catalogue.tests.song_samples import message, upload


async def test_the_queue(job_queries: JobQueries, job_events: JobEventHandlers) -> None:
    """The queue is ordered by priority, then by age; without a completed analysis there are no estimates."""
    songs = [await upload(job_events, n, priority=p) for n, p in enumerate((5, 5, 9, 1))]
    views = [await job_queries.get_job(GetJob(job_id=song.job_id)) for song in songs]
    assert [view.queue_position for view in views] == [2, 3, 1, 4]
    assert {view.estimated_seconds_remaining for view in views} == {None}
    assert views[0].log_tail == ["2026-03-01T11:00:00.000Z uploaded by service:ingest: night drive.mp3"]


async def test_estimates_come_from_the_latest_analyses(
    job_queries: JobQueries, job_events: JobEventHandlers, objects: ObjectStore
) -> None:
    """At 2 s for 20 s of audio, the estimates add the rest of the running job and the jobs ahead."""
    done, running, first, second = [await upload(job_events, number) for number in range(4)]
    await job_events.handle_completed(message(await done.analysed(objects)))
    started = running.started().model_copy(update={"started_at": NOW - timedelta(seconds=0.5)})
    await job_events.handle_started(message(started))
    remaining = [
        (await job_queries.get_job(GetJob(job_id=song.job_id))).estimated_seconds_remaining
        for song in (running, first, second, done)
    ]
    assert remaining == [1.5, 3.5, 5.5, None]


async def test_the_cost_of_a_job(
    job_queries: JobQueries, job_events: JobEventHandlers, objects: ObjectStore
) -> None:
    """Half an hour of a CPU, a tenth of it for the network, and 1 GiB for a year cost 2 and 27.6 cents.

    A job of the release before has its inference in its processing; a job that was not measured has no cost.
    """
    measured, older, unmeasured, queued = [await upload(job_events, number) for number in range(4)]
    for song, inference_s in ((measured, 180.0), (older, None)):
        used = {"cpu_s": 1800.0, "inference_s": inference_s, "bytes_stored": 2**30}
        completed = (await song.analysed(objects)).model_copy(update=used)
        await job_events.handle_completed(message(completed))
    await job_events.handle_completed(message(await unmeasured.analysed(objects)))
    costs = [
        (await job_queries.get_job(GetJob(job_id=song.job_id))).cost
        for song in (measured, older, unmeasured, queued)
    ]
    expected = JobCost(
        cpu_s=1800,
        inference_s=180,
        bytes_stored=2**30,
        processing_usd=0.018,
        inference_usd=0.002,
        storage_usd=0.276,
        total_usd=0.296,
    )
    untold = {"inference_s": None, "inference_usd": None, "processing_usd": 0.02}
    assert costs == [expected, expected.model_copy(update=untold), None, None]


async def test_progress_of_a_running_job(
    job_queries: JobQueries, job_events: JobEventHandlers, jetstream: JetStreamContext
) -> None:
    """A running job shows the last progress of its worker; a queued job does not."""
    song = await upload(job_events)
    progress = JobProgress(
        job_id=song.job_id, track_id=song.track_id, stage="beats", percent=40, message="4 of 10", at=NOW
    )
    bucket = await jetstream.key_value(streams.JOB_PROGRESS.name)
    await bucket.put(song.job_id, progress.to_json())
    assert (await job_queries.get_job(GetJob(job_id=song.job_id))).progress is None
    await job_events.handle_started(message(song.started()))
    view = await job_queries.get_job(GetJob(job_id=song.job_id))
    assert (view.stage, view.percent, view.progress) == ("beats", 40, progress)
    assert view.log_tail[-1] == "2026-03-01T12:00:00.000Z beats: 4 of 10"
    [listed] = (await job_queries.list_jobs(ListJobs(status="processing"))).items
    assert listed.percent == 40


async def test_a_failed_job_has_its_error(job_queries: JobQueries, job_events: JobEventHandlers) -> None:
    """The view has the error code, and the log has the message."""
    song = await upload(job_events)
    await job_events.handle_failed(message(song.failed()))
    view = await job_queries.get_job(GetJob(job_id=song.job_id))
    assert view.error is not None
    assert (view.status, view.error.code) == ("failed", "not_decodable")
    assert view.log_tail[-1].endswith(
        "failed by service:analysis: not_decodable: The file cannot be decoded."
    )


async def test_jobs_newest_first(job_queries: JobQueries, job_events: JobEventHandlers) -> None:
    """The page also has the number of all jobs with that status."""
    songs = [await upload(job_events, number) for number in range(3)]
    await job_events.handle_failed(message(songs[1].failed()))
    page = await job_queries.list_jobs(ListJobs(limit=2))
    assert (page.total, [view.job_id for view in page.items]) == (3, [songs[2].job_id, songs[1].job_id])
    queued = await job_queries.list_jobs(ListJobs(status="queued"))
    assert (queued.total, [view.queue_position for view in queued.items]) == (2, [2, 1])


async def test_jobs_by_page(job_queries: JobQueries, job_events: JobEventHandlers, pool: Pool) -> None:
    """Every job is on exactly one page, also where all have one time; `track_id` and `status` choose."""
    songs = [await upload(job_events, number) for number in range(4)]
    again = await job_queries.request_analysis(RequestTrackAnalysis(track_id=songs[0].track_id))
    await pool.execute("UPDATE catalogue.jobs SET created_at = $1", NOW)
    seen: list[str] = []
    query = ListJobs(limit=2)
    while True:
        page = await job_queries.list_jobs(query)
        seen += [view.job_id for view in page.items]
        assert page.total == 5
        if page.next_cursor is None:
            break
        query = ListJobs(limit=2, cursor=page.next_cursor)
    assert seen == sorted([again.job_id, *(song.job_id for song in songs)], reverse=True)
    of_track = await job_queries.list_jobs(ListJobs(track_id=songs[0].track_id, status="queued", limit=1))
    assert (of_track.total, len(of_track.items)) == (2, 1)
    rest = await job_queries.list_jobs(ListJobs(track_id=songs[0].track_id, cursor=of_track.next_cursor))
    both = sorted(view.version for view in (*of_track.items, *rest.items))
    assert (both, rest.next_cursor) == ([1, 2], None)
    with pytest.raises(QueryError, match="does not belong to this list"):
        await job_queries.list_jobs(ListJobs(cursor=cursor_after("deployments", songs[0].job_id, NOW)))


async def test_cancelling(
    job_queries: JobQueries, job_events: JobEventHandlers, jetstream: JetStreamContext
) -> None:
    """The request goes into the bucket; after the event of the workers a second request is an error."""
    song = await upload(job_events)
    view = await job_queries.cancel_job(GetJob(job_id=song.job_id))
    assert view.status == "queued"
    entry = await (await jetstream.key_value(streams.JOB_CANCELS.name)).get(song.job_id)
    assert entry.value == b"2026-03-01T12:00:00.000Z"
    await job_events.handle_cancelled(message(song.cancelled()))
    with pytest.raises(QueryError) as caught:
        await job_queries.cancel_job(GetJob(job_id=song.job_id))
    assert (caught.value.code, caught.value.status) == ("job_ended", 409)


async def test_requesting_another_analysis(
    job_queries: JobQueries, job_events: JobEventHandlers, pool: Pool, objects: ObjectStore
) -> None:
    """The next version, its job and the command to the workers are added together; the track stays ready."""
    song = await upload(job_events, preset="edm")
    await job_events.handle_completed(message(await song.analysed(objects)))
    request = RequestTrackAnalysis(track_id=song.track_id, preset="rock", priority=8)
    accepted = await job_queries.request_analysis(request)
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


async def test_concurrent_requests_get_different_versions(
    job_queries: JobQueries, job_events: JobEventHandlers
) -> None:
    """Concurrent requests get different version numbers."""
    song = await upload(job_events)
    request = RequestTrackAnalysis(track_id=song.track_id)
    accepted = await asyncio.gather(*(job_queries.request_analysis(request) for _ in range(5)))
    assert sorted(each.version for each in accepted) == [2, 3, 4, 5, 6]


async def test_a_failed_track_is_processing_again(
    job_queries: JobQueries, job_events: JobEventHandlers, pool: Pool
) -> None:
    """A track without any map waits for the new analysis."""
    song = await upload(job_events)
    await job_events.handle_failed(message(song.failed()))
    await job_queries.request_analysis(RequestTrackAnalysis(track_id=song.track_id))
    assert await pool.fetchval("SELECT status FROM catalogue.tracks") == "processing"


async def test_requests_with_the_same_idempotency_key(
    job_queries: JobQueries, job_events: JobEventHandlers, pool: Pool
) -> None:
    """Repeated and concurrent requests with one key make one job and get the same response."""
    song = await upload(job_events)
    request = RequestTrackAnalysis(track_id=song.track_id, idempotency_key="once")
    responses = await asyncio.gather(*(job_queries.request_analysis(request) for _ in range(3)))
    await upload(job_events, 1, priority=10)
    responses.append(await job_queries.request_analysis(request))
    assert len({response.model_dump_json() for response in responses}) == 1
    assert await pool.fetchval("SELECT count(*) FROM catalogue.outbox") == 1
    with pytest.raises(QueryError) as caught:
        await job_queries.request_analysis(request.model_copy(update={"priority": 1}))
    assert (caught.value.code, caught.value.status) == ("idempotency_key_reused", 422)


async def test_retrying(job_queries: JobQueries, job_events: JobEventHandlers, pool: Pool) -> None:
    """A failed job is repeated once for a key, with its preset and priority; a waiting job is not repeated."""
    song = await upload(job_events, preset="edm", priority=7)
    retry = RetryJob(job_id=song.job_id, idempotency_key="once")
    with pytest.raises(QueryError) as caught:
        await job_queries.retry_job(retry)
    assert (caught.value.code, caught.value.status) == ("job_not_retryable", 409)
    await job_events.handle_failed(message(song.failed()))
    first, again = await asyncio.gather(*(job_queries.retry_job(retry) for _ in range(2)))
    assert (first, first.version) == (again, 2)
    [body] = [row["body"] for row in await pool.fetch("SELECT body FROM catalogue.outbox")]
    command = RequestAnalysis.model_validate_json(body)
    assert (command.job_id, command.preset, command.priority) == (first.job_id, "edm", 7)


async def test_unknown_jobs_and_tracks(job_queries: JobQueries) -> None:
    """Unknown jobs and unknown tracks have different codes."""
    job, track = GetJob(job_id=new_id("job")), RequestTrackAnalysis(track_id=new_id("trk"))
    for response, code in (
        (job_queries.get_job(job), "job_not_found"),
        (job_queries.cancel_job(job), "job_not_found"),
        (job_queries.retry_job(RetryJob(job_id=job.job_id)), "job_not_found"),
        (job_queries.request_analysis(track), "track_not_found"),
    ):
        with pytest.raises(QueryError) as caught:
            await response
        assert (caught.value.code, caught.value.status) == (code, 404)
