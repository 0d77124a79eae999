"""Facts and what they change.

Every fact is recorded in the inbox in the transaction of its effect, so that one delivered again
changes nothing. A fact about a job that is not known yet (its `track.uploaded` is still on the way, or
being handled by another process) is sent back and comes again.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_catalogue import graph_store, store
from k1_catalogue.artefacts import Result, read_result
from k1_catalogue.lifecycle import Job, JobFact, receive, track_state, version_status
from k1_catalogue.maps import GenesisMaps
from k1_catalogue.show_files import Show, ShowFiles
from k1_contracts.messages.analysis import (
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisStarted,
)
from k1_contracts.messages.tracks import TrackUploaded
from k1_contracts.streams import CATALOGUE
from k1_platform.consuming import Event
from k1_platform.database import Connection, Pool
from k1_platform.errors import PermanentError, TransientError
from k1_platform.inbox import first_time
from k1_platform.objects import ObjectStore

CONSUMER: Final = CATALOGUE.name
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Intake:
    """Applies facts to the stores."""

    pool: Pool
    maps: GenesisMaps
    objects: ObjectStore
    shows: ShowFiles

    async def track_uploaded(self, event: Event[TrackUploaded]) -> None:
        """A new track with its first version and job; one that is known already stays as it is."""
        fact = event.body
        order = store.JobOrder(
            job_id=fact.job_id,
            track_id=fact.track_id,
            version=fact.version,
            priority=fact.priority,
            preset=fact.preset,
            audio_ms=fact.audio.duration_ms,
            created_at=fact.uploaded_at,
        )
        async with self.pool.acquire() as connection, connection.transaction():
            if not await first_time(connection, store.SCHEMA, CONSUMER, event.envelope.id):
                return
            if not await store.insert_track(connection, fact):
                _log.info("track uploaded again", extra={"track_id": fact.track_id})
                return
            await store.insert_job(connection, order)
            await store.write_audit(
                connection,
                order,
                at=fact.uploaded_at,
                actor="ingest",
                action="uploaded",
                detail=fact.filename,
            )

    async def analysis_started(self, event: Event[AnalysisStarted]) -> None:
        """A worker took the job."""
        await self._record(event.body, event.envelope.id)

    async def analysis_failed(self, event: Event[AnalysisFailed]) -> None:
        """The job ended without a map."""
        await self._record(event.body, event.envelope.id)

    async def analysis_cancelled(self, event: Event[AnalysisCancelled]) -> None:
        """A person cancelled the job."""
        await self._record(event.body, event.envelope.id)

    async def analysis_completed(self, event: Event[AnalysisCompleted]) -> None:
        """Store the map, then tell of it.

        MongoDB comes first: a process that dies in between leaves a map that nothing points to, and the
        fact comes again and writes the same map. A completion whose artefacts are wrong fails the job,
        so that nobody waits for it, and is dead-lettered; driven anew it can still complete the job.
        """
        fact = event.body
        if not await self._awaited(fact):
            return
        try:
            result = await read_result(self.objects, fact)
            show = await self.shows.of_analysis(fact, result)
            await self.maps.put(fact.track_id, fact.version, result.content)
        except PermanentError as error:
            await self._record(_failure(fact, error), None)
            raise
        await self._record(fact, event.envelope.id, _Outcome(result, show))

    async def _awaited(self, fact: AnalysisCompleted) -> bool:
        """Whether the map of this completion is still wanted; spares reading it in vain."""
        async with self.pool.acquire() as connection:
            return _known(await store.find_job(connection, fact.job_id), fact).may_become("completed")

    async def _record(self, fact: JobFact, event_id: str | None, outcome: "_Outcome | None" = None) -> None:
        """Apply a fact to its job, version and track; without an event id the inbox is left alone."""
        async with self.pool.acquire() as connection, connection.transaction():
            if event_id and not await first_time(connection, store.SCHEMA, CONSUMER, event_id):
                return
            await store.lock_track(connection, fact.track_id)
            job = _known(await store.find_job(connection, fact.job_id), fact)
            after = receive(job, fact)
            if after == job:
                _log.info("fact came too late", extra={"job_id": job.id, "fact": type(fact).__name__})
                return
            await _save(connection, after, fact, outcome)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a completed analysis left: the map with its artefacts, and the show."""

    result: Result
    show: Show


def _known(job: Job | None, fact: JobFact) -> Job:
    if job is None:
        raise TransientError(f"job {fact.job_id} of {fact.track_id} is not known yet")
    if (job.track_id, job.version) != (fact.track_id, fact.version):
        message = f"job {job.id} makes version {job.version} of {job.track_id}, not {fact.version} of {fact.track_id}"
        raise PermanentError("job_mismatch", message)
    return job


async def _save(connection: Connection, job: Job, fact: JobFact, outcome: _Outcome | None) -> None:
    if isinstance(fact, AnalysisCompleted) and outcome is not None:
        await _save_outcome(connection, job, fact, outcome)
    elif job.status != "completed":
        await store.save_version_status(connection, job, version_status(job.status, None))
    state = track_state(await store.version_statuses(connection, job.track_id))
    at, actor, detail = _account(fact)
    await store.save_track_state(connection, job.track_id, state, at)
    await store.save_job(connection, job)
    action = type(fact).__name__.removeprefix("Analysis").lower()
    await store.write_audit(connection, job, at=at, actor=actor, action=action, detail=detail)


async def _save_outcome(connection: Connection, job: Job, fact: AnalysisCompleted, outcome: _Outcome) -> None:
    result, show = outcome.result, outcome.show
    status = version_status(job.status, fact.summary)
    told = fact.model_copy(update={"warnings": [*fact.warnings, *show.warnings]})
    map_sha256 = result.genesis.metadata.hashes.map_sha256
    await store.save_result(connection, told, status, map_sha256, (*result.artefacts, *show.artefacts))
    if show.graph is not None:
        await graph_store.insert_graph(connection, fact.track_id, fact.version, show.graph)


def _account(fact: JobFact) -> tuple[datetime, str, str | None]:
    """When it happened, who did it, and what there is to say."""
    match fact:
        case AnalysisStarted():
            return fact.started_at, fact.worker_id, f"attempt {fact.attempt} with {fact.engine}"
        case AnalysisCompleted():
            return (
                fact.completed_at,
                "analysis",
                f"{fact.summary.bpm:g} BPM in {fact.elapsed_ms / 1000:.1f} s",
            )
        case AnalysisFailed():
            return fact.failed_at, "analysis", f"{fact.code}: {fact.message}"
        case AnalysisCancelled():
            return fact.cancelled_at, "analysis", None


def _failure(fact: AnalysisCompleted, error: PermanentError) -> AnalysisFailed:
    return AnalysisFailed(
        job_id=fact.job_id,
        track_id=fact.track_id,
        version=fact.version,
        code=error.code,
        message=f"The analysis ended, but its result cannot be used: {error}",
        attempts=1,
        failed_at=fact.completed_at,
    )
