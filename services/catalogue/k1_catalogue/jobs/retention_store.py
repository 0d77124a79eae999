"""Finds and removes the jobs in the table `jobs` that ended long ago."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_catalogue.jobs.queue_store import SAMPLES
from k1_platform.postgres.pool import Connection

_ENDED: Final = "status IN ('completed', 'failed', 'cancelled') AND ended_at < $1"


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that may be removed."""

    id: str
    track_id: str


async def ended_jobs(connection: Connection, before: datetime, limit: int) -> list[EndedJob]:
    """Return jobs that ended before a time, the oldest first, without those that estimates are made from."""
    rows = await connection.fetch(
        f"""
        SELECT id, track_id FROM catalogue.jobs
        WHERE {_ENDED} AND id NOT IN (
            SELECT id FROM catalogue.jobs WHERE status = 'completed' AND NOT reused AND audio_ms > 0
            ORDER BY ended_at DESC LIMIT $3
        )
        ORDER BY ended_at, id LIMIT $2
        """,  # noqa: S608  a constant of ours
        before,
        limit,
        SAMPLES,
    )
    return [EndedJob(**row) for row in rows]


async def remove_job(connection: Connection, job_id: str, before: datetime) -> bool:
    """Remove a job unless it has changed since; return whether it was removed."""
    query = f"DELETE FROM catalogue.jobs WHERE {_ENDED} AND id = $2 RETURNING id"  # noqa: S608  a constant of ours
    return await connection.fetchval(query, before, job_id) is not None
