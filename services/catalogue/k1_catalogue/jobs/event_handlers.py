"""Applies the events of uploads and analyses to the stores.

The transaction of each effect records the event in the inbox, so that a repeated delivery changes nothing. An event
about an unknown job is rejected as transient and delivered again: its `track.uploaded` has not arrived yet, or another
process is handling it.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from k1_catalogue.database import is_first_delivery
from k1_catalogue.graphs import store as graph_store
from k1_catalogue.graphs.show_builder import Show, ShowBuilder
from k1_catalogue.history.store import was_purged
from k1_catalogue.jobs import queue_store, store
from k1_catalogue.jobs.lifecycle import Job, JobEvent, apply_event
from k1_catalogue.jobs.metrics import JobMetrics
from k1_catalogue.jobs.results import AnalysisResult, read_result
from k1_catalogue.maps.store import MapStore
from k1_catalogue.similarity.features import Vector, feature_vector
from k1_catalogue.similarity.store import save_features
from k1_catalogue.tracks import store as track_store
from k1_catalogue.tracks.artefact_store import insert_artefacts
from k1_catalogue.tracks.audit_store import write_audit_entry
from k1_catalogue.tracks.status import version_status
from k1_catalogue.tracks.trace_store import save_trace
from k1_contracts.messages.analysis import (
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisStarted,
)
from k1_contracts.messages.catalogue.tracks import TrackUploaded
from k1_platform.errors import PermanentError, TransientError
from k1_platform.nats.actors import actor_id
from k1_platform.nats.streams.consumers import Delivery
from k1_platform.postgres.pool import Connection, Pool
from k1_platform.processes.threads import in_thread
from k1_platform.storage.objects import ObjectStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobEventHandlers:
    """Applies each event to its job, version and track.

    Each handler raises TransientError for an event about an unknown job, and PermanentError for one that contradicts
    its job.
    """

    pool: Pool
    maps: MapStore
    objects: ObjectStore
    shows: ShowBuilder
    metrics: JobMetrics

    async def handle_track_uploaded(self, message: Delivery[TrackUploaded]) -> None:
        """Add a track with its first version and job; a known track does not change."""
        event = message.body
        async with self.pool.acquire() as connection, connection.transaction():
            if not await is_first_delivery(connection, message.envelope.id):
                return
            if not await track_store.insert_track(connection, event):
                _log.info("track exists already", extra={"track_id": event.track_id})
                return
            await track_store.insert_version(
                connection, event.track_id, event.version, event.job_id, event.uploaded_at
            )
            job = _first_job(event)
            await store.insert_job(connection, job)
            await queue_store.predict(connection, job, event.uploaded_at)
            await write_audit_entry(
                connection,
                event.track_id,
                at=event.uploaded_at,
                actor="ingest",
                action="uploaded",
                detail=event.filename,
                job_id=event.job_id,
            )

    async def handle_started(self, message: Delivery[AnalysisStarted]) -> None:
        """Record that a worker has started the job."""
        await self._apply(message.body, message.envelope.id)

    async def handle_failed(self, message: Delivery[AnalysisFailed]) -> None:
        """Record that the job has ended without a map."""
        await self._apply(message.body, message.envelope.id)

    async def handle_cancelled(self, message: Delivery[AnalysisCancelled]) -> None:
        """Record that the job was cancelled."""
        await self._apply(message.body, message.envelope.id)

    async def handle_completed(self, message: Delivery[AnalysisCompleted]) -> None:
        """Store the map in MongoDB, then record the result in PostgreSQL.

        If the process dies in between, the event is delivered again and the same map is stored again. If the artefacts
        are wrong, the job fails and the event becomes a dead letter; a redrive can still complete the job.
        """
        event = message.body
        if not await self._can_complete(event):
            return
        try:
            result = await read_result(self.objects, event)
            vector = await in_thread(feature_vector, result.genesis)
            show = await self.shows.build_show(event, result.genesis)
            await self.maps.put(event.track_id, event.version, result.content)
        except PermanentError as error:
            await self._apply(_failure(event, error), None)
            raise
        if await self._apply(event, message.envelope.id, _Outcome(result, show, vector)):
            self.metrics.add_cost(event)
            await self._observe_estimate(event)

    async def _observe_estimate(self, event: AnalysisCompleted) -> None:
        async with self.pool.acquire() as connection:
            times = await store.find_prediction(connection, event.job_id)
        if times is not None and not event.reused:
            self.metrics.observe_estimate(
                times.expected_s, (event.completed_at - times.created_at).total_seconds()
            )

    async def _can_complete(self, event: AnalysisCompleted) -> bool:
        """Return whether the job can still complete; if not, its map need not be read."""
        async with self.pool.acquire() as connection:
            if await was_purged(connection, event.track_id):
                return False
            if await store.was_removed(connection, event.job_id):
                return False
            job = _require_job(await store.find_job(connection, event.job_id), event)
            return job.can_become("completed")

    async def _apply(self, event: JobEvent, event_id: str | None, outcome: "_Outcome | None" = None) -> bool:
        """Apply an event to its job, version and track; return whether it changed them.

        Without `event_id` the inbox does not change.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            if event_id and not await is_first_delivery(connection, event_id):
                return False
            known = await track_store.lock_track(connection, event.track_id)
            if known is None and await was_purged(connection, event.track_id):
                _log.info("event about a purged track", extra={"track_id": event.track_id})
                return False
            if await store.was_removed(connection, event.job_id):
                _log.info("event about a removed job", extra={"job_id": event.job_id})
                return False
            before = _require_job(await store.find_job(connection, event.job_id), event)
            after = apply_event(before, event)
            if after == before:
                _log.info("event came too late", extra={"job_id": before.id, "event": type(event).__name__})
                return False
            await _save(connection, after, event, outcome)
            return True


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The result of a completed analysis, with the show and the feature vector that were made from it."""

    result: AnalysisResult
    show: Show
    vector: Vector


def _first_job(event: TrackUploaded) -> store.NewJob:
    return store.NewJob(
        id=event.job_id,
        track_id=event.track_id,
        version=event.version,
        priority=event.priority,
        preset=event.preset,
        audio_ms=event.audio.duration_ms,
        created_at=event.uploaded_at,
        requested_by=actor_id(),
    )


def _require_job(job: Job | None, event: JobEvent) -> Job:
    if job is None:
        raise TransientError(f"job {event.job_id} of {event.track_id} is not known yet")
    if (job.track_id, job.version) != (event.track_id, event.version):
        message = f"job {job.id} makes version {job.version} of {job.track_id}, not {event.version} of {event.track_id}"
        raise PermanentError("job_mismatch", message)
    return job


async def _save(connection: Connection, job: Job, event: JobEvent, outcome: _Outcome | None) -> None:
    if isinstance(event, AnalysisCompleted) and outcome is not None:
        await _save_outcome(connection, job, event, outcome)
    elif job.status != "completed":
        status = version_status(job.status, None)
        await track_store.save_version_status(connection, job.track_id, job.version, status)
    at, actor, detail = _audit_values(event)
    await track_store.refresh_track_state(connection, job.track_id, at)
    await store.save_job(connection, job)
    action = type(event).__name__.removeprefix("Analysis").lower()
    await write_audit_entry(
        connection, job.track_id, at=at, actor=actor, action=action, detail=detail, job_id=job.id
    )


async def _save_outcome(
    connection: Connection, job: Job, event: AnalysisCompleted, outcome: _Outcome
) -> None:
    track_id, version, result, show = event.track_id, event.version, outcome.result, outcome.show
    with_warnings = event.model_copy(update={"warnings": [*event.warnings, *show.warnings]})
    await track_store.save_version_result(
        connection,
        with_warnings,
        version_status(job.status, event.summary),
        result.genesis.metadata.hashes.map_sha256,
    )
    await save_trace(connection, track_id, version)
    await store.save_audio_length(connection, event.job_id, event.summary.duration_ms)
    artefacts = (*result.artefacts, *show.artefacts)
    await insert_artefacts(connection, track_id, version, artefacts, event.completed_at)
    await save_features(connection, track_id, version, outcome.vector)
    if show.graph is not None:
        await graph_store.insert_revision(connection, track_id, version, show.graph)


def _audit_values(event: JobEvent) -> tuple[datetime, str, str | None]:
    """Return the time, the actor and the detail of an event's audit entry."""
    match event:
        case AnalysisStarted():
            detail = f"attempt {event.attempt} on {event.worker_id} with {event.engine}"
            return event.started_at, "analysis", detail
        case AnalysisCompleted():
            return (
                event.completed_at,
                "analysis",
                f"{event.summary.bpm:g} BPM in {event.elapsed_ms / 1000:.1f} s",
            )
        case AnalysisFailed():
            return event.failed_at, "analysis", f"{event.code}: {event.message}"
        case AnalysisCancelled():
            return event.cancelled_at, "analysis", None


def _failure(event: AnalysisCompleted, error: PermanentError) -> AnalysisFailed:
    return AnalysisFailed(
        job_id=event.job_id,
        track_id=event.track_id,
        version=event.version,
        code=error.code,
        message=f"The analysis ended, but its result cannot be used: {error}",
        attempts=1,
        failed_at=event.completed_at,
    )
