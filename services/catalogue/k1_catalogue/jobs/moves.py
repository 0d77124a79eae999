"""Gives a waiting job another priority.

The new priority and the event `analysis.moved` are written in one transaction. The analysis service then puts another
message of the job on the lane of that priority, which makes the earlier one void. If a worker takes the job in between,
the job runs as it is and is not moved.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from k1_catalogue import errors
from k1_catalogue.database import SCHEMA
from k1_catalogue.jobs import queue_store, store
from k1_catalogue.jobs.store import JobOrder
from k1_catalogue.tracks.audit_store import write_audit_entry
from k1_catalogue.tracks.store import AnalysisInput
from k1_catalogue.tracks.version_checks import require_song
from k1_contracts.messages.analysis import GetJob, JobView
from k1_contracts.messages.catalogue.job_moves import ANALYSIS_MOVED, AnalysisMoved, JobPlace, SetJobPriority
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class JobMoves:
    """Moves jobs in the queue."""

    pool: Pool
    places: KeyValue
    """The bucket in which workers claim jobs."""
    get_job: Callable[[GetJob], Awaitable[JobView]]
    clock: Callable[[], datetime]

    async def set_priority(self, query: SetJobPriority) -> JobView:
        """Move a waiting job to the end of the jobs with this priority; a job that has it already stays where it is.

        Raises:
            QueryError: `job_not_found`, `job_not_queued` if it runs or has ended, `track_deleted`.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            order = await store.find_order(connection, query.job_id)
            if order is None:
                raise errors.job_not_found(query.job_id)
            # The track first, as everywhere, so that two transactions never wait for each other.
            source = await require_song(connection, order.track_id)
            status = await store.lock_status(connection, query.job_id)
            if status is None:
                raise errors.job_not_found(query.job_id)
            if status != "queued" or await self._is_taken(query.job_id):
                raise errors.job_not_queued(query.job_id, status)
            await self._move(connection, query, order, source)
        return await self.get_job(GetJob(job_id=query.job_id))

    async def _is_taken(self, job_id: str) -> bool:
        """Return whether a worker has taken the job; the event of its start may still be on its way."""
        try:
            entry = await self.places.get(job_id)
        except KeyNotFoundError:
            return False
        return JobPlace.model_validate_json(entry.value or b"").is_taken

    async def _move(
        self, connection: Connection, query: SetJobPriority, order: JobOrder, source: AnalysisInput
    ) -> None:
        at = self.clock()
        moved = await queue_store.move_job(connection, query.job_id, query.priority, at)
        if moved is None:
            return
        event = AnalysisMoved(
            job_id=query.job_id,
            track_id=order.track_id,
            version=order.version,
            audio=source.audio,
            filename=source.filename,
            preset=order.preset,
            priority=query.priority,
            requested_at=order.created_at,
            move=moved.moves,
            moved_at=at,
        )
        await enqueue(connection, SCHEMA, ANALYSIS_MOVED, event, source="catalogue")
        await write_audit_entry(
            connection,
            order.track_id,
            at=at,
            action="priority changed",
            detail=f"{moved.priority_before} -> {query.priority}",
            job_id=query.job_id,
        )
