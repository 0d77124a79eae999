"""Tests of moving jobs in the queue, with a real database and bucket."""

import asyncio
import json
from datetime import timedelta

import pytest
from nats.js import JetStreamContext

from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.moves import JobMoves
from k1_catalogue.jobs.queries import JobQueries
from k1_contracts import streams
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import GetJob, RequestTrackAnalysis
from k1_contracts.messages.catalogue.job_moves import AnalysisMoved, JobPlace, SetJobPriority
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from services.catalogue.tests.conftest import NOW
from services.catalogue.tests.song_samples import message, upload


async def test_a_moved_job_is_last_of_its_priority(
    job_moves: JobMoves, job_queries: JobQueries, job_events: JobEventHandlers, pool: Pool
) -> None:
    """Places follow the move, as in the lanes; the event has all that a worker needs; the same priority changes nothing."""
    songs = [await upload(job_events, n, priority=p) for n, p in enumerate((5, 5, 9))]
    await pool.execute("UPDATE catalogue.jobs SET created_at = $1", NOW - timedelta(minutes=1))
    first, second, third = (song.job_id for song in songs)
    view = await job_moves.set_priority(SetJobPriority(job_id=first, priority=9))
    assert (view.status, view.priority, view.queue_position) == ("queued", 9, 2)
    await job_moves.set_priority(SetJobPriority(job_id=first, priority=9))
    await job_moves.set_priority(SetJobPriority(job_id=first, priority=5))
    places = [
        (await job_queries.get_job(GetJob(job_id=job))).queue_position for job in (third, second, first)
    ]
    assert places == [1, 2, 3]
    rows = await pool.fetch("SELECT subject, headers, body FROM catalogue.outbox ORDER BY id")
    events = [AnalysisMoved.model_validate_json(row["body"]) for row in rows]
    assert [
        (row["subject"], event.move, event.priority) for row, event in zip(rows, events, strict=True)
    ] == [
        ("analysis.moved", 1, 9),
        ("analysis.moved", 2, 5),
    ]
    assert len({json.loads(row["headers"])["ce-id"] for row in rows}) == 2
    uploaded = songs[0].uploaded()
    assert (events[0].job_id, events[0].audio, events[0].filename) == (
        first,
        uploaded.audio,
        uploaded.filename,
    )
    log = (await job_queries.get_job(GetJob(job_id=first))).log_tail
    assert [line.partition(": ")[2] for line in log if "priority changed" in line] == ["5 -> 9", "9 -> 5"]


async def test_only_a_waiting_job_is_moved(
    job_moves: JobMoves, job_events: JobEventHandlers, jetstream: JetStreamContext, pool: Pool
) -> None:
    """A job that runs, has ended, or was claimed by a worker whose event has not arrived: 409, and no event."""
    running, ended, claimed = [await upload(job_events, number) for number in range(3)]
    await job_events.handle_started(message(running.started()))
    await job_events.handle_failed(message(ended.failed()))
    bucket = await jetstream.key_value(streams.JOB_PLACES.name)
    await bucket.put(claimed.job_id, JobPlace(move=0, is_taken=True).to_json())
    for song, reason in ((running, "is processing"), (ended, "is failed"), (claimed, "has just been taken")):
        with pytest.raises(QueryError, match=reason) as caught:
            await job_moves.set_priority(SetJobPriority(job_id=song.job_id, priority=9))
        assert (caught.value.code, caught.value.status) == ("job_not_queued", 409)
    with pytest.raises(QueryError) as unknown:
        await job_moves.set_priority(SetJobPriority(job_id=new_id("job"), priority=9))
    assert (unknown.value.code, unknown.value.status) == ("job_not_found", 404)
    assert await pool.fetchval("SELECT count(*) FROM catalogue.outbox") == 0


async def test_moves_at_the_same_time_have_different_numbers(
    job_moves: JobMoves, job_queries: JobQueries, job_events: JobEventHandlers, pool: Pool
) -> None:
    """The highest number has the priority that the job shows; a repeated request for it is no other request."""
    song = await upload(job_events)
    request = RequestTrackAnalysis(track_id=song.track_id, idempotency_key="once")
    accepted = await job_queries.request_analysis(request)
    await asyncio.gather(
        *(job_moves.set_priority(SetJobPriority(job_id=accepted.job_id, priority=p)) for p in (1, 3, 7, 9))
    )
    rows = await pool.fetch("SELECT body FROM catalogue.outbox WHERE subject = 'analysis.moved'")
    events = sorted(
        (AnalysisMoved.model_validate_json(row["body"]) for row in rows), key=lambda each: each.move
    )
    assert [event.move for event in events] == [1, 2, 3, 4]
    view = await job_queries.get_job(GetJob(job_id=accepted.job_id))
    assert view.priority == events[-1].priority
    assert await job_queries.request_analysis(request) == accepted
