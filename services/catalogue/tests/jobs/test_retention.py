"""Tests of the removal of old jobs, on a real database."""

import json
from datetime import timedelta

import pytest

from k1_catalogue.history.store import rows_at
from k1_catalogue.jobs import retention_store
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.queries import JobQueries
from k1_catalogue.jobs.retention import JobRetention
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts.messages.analysis import GetJob, ListJobs
from k1_contracts.messages.catalogue.tracks import GetTrack
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.conftest import NOW, Clock
from services.catalogue.tests.song_samples import message, upload


async def test_old_jobs_are_removed(
    job_queries: JobQueries,
    job_events: JobEventHandlers,
    track_queries: TrackQueries,
    objects: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only jobs that ended longer ago than the setting; their tracks, versions, totals and histories stay right.

    The latest analysis stays for the estimates. An event of a removed job changes nothing and is no poison.
    """
    pool, clock = job_queries.pool, Clock()
    monkeypatch.setattr(retention_store, "SAMPLES", 1)
    old, failed, latest, waiting = [await upload(job_events, number) for number in range(4)]
    for song in (old, latest):
        await job_events.handle_completed(message(await song.analysed(objects)))
    await job_events.handle_failed(message(failed.failed()))
    await pool.execute(
        "UPDATE catalogue.jobs SET ended_at = ended_at - interval '1 minute' WHERE id <> $1", latest.job_id
    )
    retention = JobRetention(pool, timedelta(days=90), clock)
    clock.forward(timedelta(days=89))
    assert await retention.remove_batch() == 0
    clock.forward(timedelta(days=2))
    assert (await retention.remove_batch(), await retention.remove_batch()) == (2, 0)

    page = await job_queries.list_jobs(ListJobs())
    assert (page.total, {view.job_id for view in page.items}) == (2, {latest.job_id, waiting.job_id})
    with pytest.raises(QueryError, match="no job"):
        await job_queries.get_job(GetJob(job_id=old.job_id))
    detail = await track_queries.get_track(GetTrack(track_id=old.track_id))
    assert [(version.version, version.status) for version in detail.versions] == [(1, "ready")]
    event = (await old.analysed(objects)).model_copy(update={"completed_at": NOW + timedelta(days=91)})
    await job_events.handle_completed(message(event))
    await job_events.handle_started(message(failed.started()))

    for song in (old, failed):
        [last] = await pool.fetch(
            "SELECT id, action, detail FROM catalogue.track_events WHERE track_id = $1 ORDER BY id DESC LIMIT 1",
            song.track_id,
        )
        assert (last["action"], last["detail"]) == ("job removed", song.job_id)
        async with pool.acquire() as connection:
            rows = await rows_at(connection, song.track_id)
        assert (rows.jobs, list(rows.versions)) == ({}, ["1"])
    assert (
        json.loads(
            await pool.fetchval("SELECT coalesce(json_agg(c), '[]') FROM catalogue.track_changes AS c")
        )
        == []
    )
