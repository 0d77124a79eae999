"""Answers about jobs: where they are, how long they will take, cancelling them, asking for another."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from k1_catalogue import errors, jobs, store
from k1_catalogue.estimates import Running, Speed, Waiting, running_seconds, waiting_seconds
from k1_catalogue.lifecycle import ENDED, track_state
from k1_contracts import streams, subjects
from k1_contracts.base import rfc3339
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import (
    AnalysisAccepted,
    GetJob,
    JobPage,
    JobProgress,
    JobView,
    ListJobs,
    RequestAnalysis,
    RequestTrackAnalysis,
)
from k1_platform.broker import make_event
from k1_platform.database import Connection, Pool
from k1_platform.outbox import enqueue


@dataclass(frozen=True, slots=True)
class JobQuestions:
    """Answers from the tables and the progress that the workers tell."""

    pool: Pool
    progress: KeyValue
    cancels: KeyValue
    clock: Callable[[], datetime]

    async def list_jobs(self, question: ListJobs) -> JobPage:
        """The newest jobs."""
        async with self.pool.acquire() as connection:
            rows = await jobs.newest_views(connection, question.status, question.limit)
            total = await jobs.count(connection, question.status)
            views = await self._estimated(connection, rows)
        return JobPage(total=total, items=await asyncio.gather(*map(self._with_progress, views)))

    async def get_job(self, question: GetJob) -> JobView:
        """One job with the last lines of its log."""
        async with self.pool.acquire() as connection:
            row = await jobs.find_view(connection, question.job_id)
            if row is None:
                raise errors.job_not_found(question.job_id)
            [view] = await self._estimated(connection, [row])
            log = await jobs.log_tail(connection, question.job_id)
        return await self._with_progress(view.model_copy(update={"log_tail": log}))

    async def cancel_job(self, question: GetJob) -> JobView:
        """Tell the workers to leave a job; it becomes cancelled when one of them says that it did."""
        async with self.pool.acquire() as connection, connection.transaction():
            job = await store.find_job(connection, question.job_id)
            if job is None:
                raise errors.job_not_found(question.job_id)
            if job.status in ENDED:
                raise errors.job_ended(job.id, job.status)
            at = self.clock()
            await store.write_audit(connection, job, at=at, actor="person", action="cancel requested")
            await self.cancels.put(job.id, rfc3339(at).encode())
        return await self.get_job(question)

    async def request_analysis(self, question: RequestTrackAnalysis) -> AnalysisAccepted:
        """Make a version and a job for a new analysis, and tell the workers, in one transaction."""
        async with self.pool.acquire() as connection, connection.transaction():
            source = await store.lock_track(connection, question.track_id)
            if source is None:
                raise errors.track_not_found(question.track_id)
            before = await _answered_before(connection, question)
            if before is not None:
                return before
            version = await store.next_version(connection, question.track_id)
            order = _order(question, source, version, self.clock())
            await _write_order(connection, order)
            await _tell_workers(connection, order, source)
            accepted = await self._accepted(connection, order)
            await store.save_accepted(connection, order.job_id, accepted)
            return accepted

    async def _accepted(self, connection: Connection, order: store.JobOrder) -> AnalysisAccepted:
        place = (await jobs.waiting(connection, [order.job_id]))[order.job_id]
        running = await jobs.running(connection, self.clock())
        return AnalysisAccepted(
            job_id=order.job_id,
            version=order.version,
            queue_position=place.position,
            estimated_seconds=waiting_seconds(place, running, await jobs.speed(connection)),
        )

    async def _estimated(self, connection: Connection, rows: list[asyncpg.Record]) -> list[JobView]:
        """The views of `rows`; those that have not ended with their place and time."""
        views = [jobs.view(row) for row in rows]
        waiting = [each.job_id for each in views if each.status == "queued"]
        if not waiting and all(each.status in ENDED for each in views):
            return views
        now = self.clock()
        queue = _Queue(
            places=await jobs.waiting(connection, waiting) if waiting else {},
            running=await jobs.running(connection, now),
            speed=await jobs.speed(connection),
        )
        lengths = {row["id"]: row["audio_ms"] for row in rows}
        return [_with_times(each, lengths[each.job_id], queue, now) for each in views]

    async def _with_progress(self, view: JobView) -> JobView:
        if view.status != "processing":
            return view
        try:
            entry = await self.progress.get(view.job_id)
        except KeyNotFoundError:
            return view
        progress = JobProgress.model_validate_json(entry.value or b"")
        said = [f"{rfc3339(progress.at)} {progress.stage}: {progress.message}"] if progress.message else []
        news = {
            "stage": progress.stage,
            "percent": progress.percent,
            "progress": progress,
            "log_tail": [*view.log_tail, *said],
        }
        return view.model_copy(update=news)


@dataclass(frozen=True, slots=True)
class _Queue:
    places: dict[str, Waiting]
    running: list[Running]
    speed: Speed | None


def _with_times(view: JobView, audio_ms: float | None, queue: _Queue, now: datetime) -> JobView:
    if view.status == "processing" and view.started_at is not None:
        own = Running(audio_ms, (now - view.started_at).total_seconds())
        return view.model_copy(update={"estimated_seconds_remaining": running_seconds(own, queue.speed)})
    place = queue.places.get(view.job_id)
    if place is None:
        return view
    seconds = waiting_seconds(place, queue.running, queue.speed)
    return view.model_copy(update={"queue_position": place.position, "estimated_seconds_remaining": seconds})


async def _answered_before(connection: Connection, question: RequestTrackAnalysis) -> AnalysisAccepted | None:
    key = question.idempotency_key
    if key is None:
        return None
    before = await jobs.repeated(connection, question.track_id, store.storable(key))
    if before is None:
        return None
    if before.priority != question.priority or (question.preset and question.preset != before.preset):
        raise errors.idempotency_key_reused(key)
    return before.accepted


def _order(
    question: RequestTrackAnalysis, source: store.Source, version: int, at: datetime
) -> store.JobOrder:
    key = question.idempotency_key
    return store.JobOrder(
        job_id=new_id("job"),
        track_id=question.track_id,
        version=version,
        priority=question.priority,
        preset=question.preset or source.preset,
        audio_ms=source.audio.duration_ms,
        created_at=at,
        idempotency_key=store.storable(key) if key is not None else None,
    )


async def _write_order(connection: Connection, order: store.JobOrder) -> None:
    await store.insert_job(connection, order)
    state = track_state(await store.version_statuses(connection, order.track_id))
    await store.save_track_state(connection, order.track_id, state, order.created_at)
    detail = f"version {order.version}"
    await store.write_audit(
        connection, order, at=order.created_at, actor="person", action="analysis requested", detail=detail
    )


async def _tell_workers(connection: Connection, order: store.JobOrder, source: store.Source) -> None:
    command = RequestAnalysis(
        job_id=order.job_id,
        track_id=order.track_id,
        version=order.version,
        audio=source.audio,
        filename=source.filename,
        preset=order.preset,
        priority=order.priority,
        requested_at=order.created_at,
    )
    envelope, body = make_event(
        subjects.ANALYSIS_REQUESTED,
        command,
        source="catalogue",
        about=order.job_id,
        clock=lambda: order.created_at,
    )
    await enqueue(
        connection,
        store.SCHEMA,
        envelope,
        body,
        subject=subjects.ANALYSIS_REQUESTED,
        stream=streams.EVENTS,
    )
