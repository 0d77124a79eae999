"""Answers the queries about jobs: lists and views with estimates, cancelling, and requesting a new analysis."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from k1_catalogue import errors
from k1_catalogue.database import SCHEMA, without_nul
from k1_catalogue.jobs import queue_store, store
from k1_catalogue.jobs.cost import Prices
from k1_catalogue.jobs.estimates import (
    LatestAnalyses,
    QueuePlace,
    RunningJob,
    queued_job_seconds,
    running_job_seconds,
)
from k1_catalogue.jobs.lifecycle import ENDED
from k1_catalogue.jobs.store import NewJob
from k1_catalogue.tracks import store as track_store
from k1_catalogue.tracks.audit_store import read_job_log, write_audit_entry
from k1_catalogue.tracks.store import AnalysisInput
from k1_catalogue.tracks.version_checks import require_song
from k1_contracts.base import rfc3339
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import (
    ANALYSIS_REQUESTED,
    AnalysisAccepted,
    GetJob,
    JobPage,
    JobProgress,
    JobView,
    ListJobs,
    RequestAnalysis,
    RequestTrackAnalysis,
    RetryJob,
)
from k1_platform.cursors import cursor_after, row_before
from k1_platform.nats.actors import actor_id, current_actor
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import Connection, Pool

_WALK: Final = "jobs"


@dataclass(frozen=True, slots=True)
class JobQueries:
    """Answers from the tables and from the progress that the workers write into a bucket."""

    pool: Pool
    progress: KeyValue
    cancels: KeyValue
    prices: Prices
    max_unfinished: int
    """How many unfinished jobs one person may have; jobs of services are not limited."""
    clock: Callable[[], datetime]

    async def list_jobs(self, query: ListJobs) -> JobPage:
        """Return a page of jobs, the newest first."""
        after = row_before(query.cursor, _WALK, by_time=True)
        async with self.pool.acquire() as connection:
            rows = await store.newest_job_rows(connection, query, after)
            total = await store.count_jobs(connection, query)
            views = await self._estimated_views(connection, rows[: query.limit])
        items = await asyncio.gather(*map(self._with_progress, views))
        next_cursor = None
        if len(rows) > query.limit:
            next_cursor = cursor_after(_WALK, items[-1].job_id, items[-1].created_at)
        return JobPage(total=total, items=items, next_cursor=next_cursor)

    async def get_job(self, query: GetJob) -> JobView:
        """Return one job with the last lines of its log."""
        async with self.pool.acquire() as connection:
            row = await store.find_job_row(connection, query.job_id)
            if row is None:
                raise errors.job_not_found(query.job_id)
            [view] = await self._estimated_views(connection, [row])
            log = await read_job_log(connection, query.job_id)
        return await self._with_progress(view.model_copy(update={"log_tail": log}))

    async def cancel_job(self, query: GetJob) -> JobView:
        """Ask the workers to stop a job; its status changes when a worker confirms with an event."""
        async with self.pool.acquire() as connection, connection.transaction():
            job = await store.find_job(connection, query.job_id)
            if job is None:
                raise errors.job_not_found(query.job_id)
            if job.status in ENDED:
                raise errors.job_ended(job.id, job.status)
            at = self.clock()
            await write_audit_entry(connection, job.track_id, at=at, action="cancel requested", job_id=job.id)
            await self.cancels.put(job.id, rfc3339(at).encode())
        return await self.get_job(query)

    async def request_analysis(self, query: RequestTrackAnalysis) -> AnalysisAccepted:
        """Add a version and a job, and enqueue the command to the workers, in one transaction."""
        async with self.pool.acquire() as connection, connection.transaction():
            source = await require_song(connection, query.track_id)
            earlier = await _earlier_response(connection, query)
            if earlier is not None:
                return earlier
            await self._require_room(connection)
            version = await track_store.next_version(connection, query.track_id)
            job = _new_job(query, source, version, self.clock())
            await _insert_job(connection, job)
            await _enqueue_command(connection, job, source)
            accepted = await queue_store.predict(connection, job, self.clock())
            await _write_request_entry(connection, job)
            return accepted

    async def retry_job(self, query: RetryJob) -> AnalysisAccepted:
        """Request a new analysis with the order of a job that failed or was cancelled."""
        async with self.pool.acquire() as connection:
            order = await store.find_order(connection, query.job_id)
        if order is None:
            raise errors.job_not_found(query.job_id)
        if order.status not in ("failed", "cancelled"):
            raise errors.job_not_retryable(query.job_id, order.status)
        key = query.idempotency_key
        # The key names a repetition of this job: the same key may come with another job of the track.
        return await self.request_analysis(
            RequestTrackAnalysis(
                track_id=order.track_id,
                preset=order.preset,
                priority=order.priority,
                idempotency_key=None if key is None else f"{query.job_id} {key}",
            )
        )

    async def _require_room(self, connection: Connection) -> None:
        """Raise `too_many_jobs` if the person has as many unfinished jobs as one may have."""
        actor = current_actor()
        if (
            actor is not None
            and await queue_store.count_unfinished(connection, actor.id) >= self.max_unfinished
        ):
            raise errors.too_many_jobs(self.max_unfinished)

    async def _estimated_views(self, connection: Connection, rows: list[asyncpg.Record]) -> list[JobView]:
        """Return the views of `rows`; those that have not ended have their place and estimate."""
        views = [store.to_job_view(row, self.prices) for row in rows]
        queued = [each.job_id for each in views if each.status == "queued"]
        if not queued and all(each.status in ENDED for each in views):
            return views
        now = self.clock()
        queue = _Queue(
            places=await queue_store.queue_places(connection, queued) if queued else {},
            running=await queue_store.running_jobs(connection, now),
            latest=await queue_store.latest_analyses(connection),
        )
        return [_with_estimate(view, row, queue, now) for view, row in zip(views, rows, strict=True)]

    async def _with_progress(self, view: JobView) -> JobView:
        if view.status != "processing":
            return view
        try:
            entry = await self.progress.get(view.job_id)
        except KeyNotFoundError:
            return view
        progress = JobProgress.model_validate_json(entry.value or b"")
        lines = [f"{rfc3339(progress.at)} {progress.stage}: {progress.message}"] if progress.message else []
        update = {
            "stage": progress.stage,
            "percent": progress.percent,
            "progress": progress,
            "log_tail": [*view.log_tail, *lines],
        }
        return view.model_copy(update=update)


@dataclass(frozen=True, slots=True)
class _Queue:
    places: dict[str, QueuePlace]
    running: list[RunningJob]
    latest: LatestAnalyses | None


def _with_estimate(view: JobView, row: asyncpg.Record, queue: _Queue, now: datetime) -> JobView:
    if view.status == "processing" and view.started_at is not None:
        job = RunningJob(row["audio_ms"], (now - view.started_at).total_seconds(), row["preset"])
        return view.model_copy(update={"estimated_seconds_remaining": running_job_seconds(job, queue.latest)})
    place = queue.places.get(view.job_id)
    if place is None:
        return view
    seconds = queued_job_seconds(place, queue.running, queue.latest)
    return view.model_copy(update={"queue_position": place.position, "estimated_seconds_remaining": seconds})


async def _earlier_response(connection: Connection, query: RequestTrackAnalysis) -> AnalysisAccepted | None:
    """Return the response to an earlier request with the same idempotency key."""
    key = query.idempotency_key
    if key is None:
        return None
    earlier = await store.find_earlier_request(connection, query.track_id, without_nul(key))
    if earlier is None:
        return None
    if earlier.priority not in (None, query.priority) or (query.preset and query.preset != earlier.preset):
        raise errors.idempotency_key_reused(key)
    return earlier.accepted


def _new_job(query: RequestTrackAnalysis, source: AnalysisInput, version: int, at: datetime) -> NewJob:
    key = query.idempotency_key
    return NewJob(
        id=new_id("job"),
        track_id=query.track_id,
        version=version,
        priority=query.priority,
        preset=query.preset or source.preset,
        audio_ms=source.audio.duration_ms,
        created_at=at,
        requested_by=actor_id(),
        idempotency_key=without_nul(key) if key is not None else None,
    )


async def _insert_job(connection: Connection, job: NewJob) -> None:
    await track_store.insert_version(connection, job.track_id, job.version, job.id, job.created_at)
    await store.insert_job(connection, job)
    await track_store.refresh_track_state(connection, job.track_id, job.created_at)


async def _write_request_entry(connection: Connection, job: NewJob) -> None:
    await write_audit_entry(
        connection,
        job.track_id,
        at=job.created_at,
        action="analysis requested",
        detail=f"version {job.version}",
        job_id=job.id,
    )


async def _enqueue_command(connection: Connection, job: NewJob, source: AnalysisInput) -> None:
    """Write the command to the workers into the outbox."""
    command = RequestAnalysis(
        job_id=job.id,
        track_id=job.track_id,
        version=job.version,
        audio=source.audio,
        filename=source.filename,
        preset=job.preset,
        priority=job.priority,
        requested_at=job.created_at,
    )
    await enqueue(connection, SCHEMA, ANALYSIS_REQUESTED, command, source="catalogue")
