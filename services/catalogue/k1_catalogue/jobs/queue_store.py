"""The queue of jobs in the table `jobs`, and what its estimates are made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_catalogue.jobs.estimates import (
    LatestAnalyses,
    QueuePlace,
    RunningJob,
    Sample,
    measure_analyses,
    queued_job_seconds,
)
from k1_catalogue.jobs.store import NewJob, save_accepted
from k1_contracts.messages.analysis import AnalysisAccepted
from k1_platform.postgres.pool import Connection

SAMPLES: Final = 100
"""The number of latest analyses that the estimates of all presets are made from."""


@dataclass(frozen=True, slots=True)
class JobMove:
    """A move of a job in the queue."""

    moves: int
    """How often the job was moved by now."""
    priority_before: int


async def move_job(connection: Connection, job_id: str, priority: int, at: datetime) -> JobMove | None:
    """Give a job another priority and the last place of it; None if it has this priority already."""
    row = await connection.fetchrow(
        """
        UPDATE catalogue.jobs AS j SET priority = $2, moves = coalesce(j.moves, 0) + 1, moved_at = $3
        FROM catalogue.jobs AS old
        WHERE j.id = $1 AND old.id = $1 AND old.priority <> $2
        RETURNING j.moves, old.priority AS priority_before
        """,
        job_id,
        priority,
        at,
    )
    return None if row is None else JobMove(**row)


async def count_unfinished(connection: Connection, requested_by: str) -> int:
    """Return how many jobs of an actor wait or run."""
    counted: int | None = await connection.fetchval(
        "SELECT count(*) FROM catalogue.jobs WHERE requested_by = $1 AND status IN ('queued', 'processing')",
        requested_by,
    )
    return counted or 0


async def queue_places(connection: Connection, job_ids: Sequence[str]) -> dict[str, QueuePlace]:
    """Return the places of these jobs in the queue, by priority, then by the time of the last move or else the request; only queued jobs have one."""
    rows = await connection.fetch(
        """
        SELECT id, audio_ms, preset, place, ahead_ms, ahead_unknown
        FROM (
            SELECT id, audio_ms, preset, row_number() OVER queue AS place,
                   coalesce(sum(audio_ms) OVER before, 0) AS ahead_ms,
                   count(*) FILTER (WHERE audio_ms IS NULL) OVER before AS ahead_unknown
            FROM catalogue.jobs WHERE status = 'queued'
            WINDOW queue AS (ORDER BY priority DESC, coalesce(moved_at, created_at), id),
                   before AS (queue ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        ) AS queued
        WHERE id = ANY($1)
        """,
        list(job_ids),
    )
    return {
        row["id"]: QueuePlace(
            row["place"], row["audio_ms"], row["ahead_ms"], row["ahead_unknown"], row["preset"]
        )
        for row in rows
    }


async def running_jobs(connection: Connection, now: datetime) -> list[RunningJob]:
    """Return the jobs that workers are processing."""
    rows = await connection.fetch(
        "SELECT audio_ms, started_at, preset FROM catalogue.jobs WHERE status = 'processing'"
    )
    return [
        RunningJob(row["audio_ms"], (now - row["started_at"]).total_seconds(), row["preset"]) for row in rows
    ]


async def latest_analyses(connection: Connection) -> LatestAnalyses | None:
    """Return what the latest analyses say about the next ones; None before the first."""
    rows = await connection.fetch(
        """
        SELECT preset, audio_ms, elapsed_ms, ended_at,
               coalesce(started_at, ended_at - elapsed_ms * interval '1 millisecond') AS started_at
        FROM catalogue.jobs
        WHERE status = 'completed' AND NOT reused AND audio_ms > 0
        ORDER BY ended_at DESC LIMIT $1
        """,
        SAMPLES,
    )
    return measure_analyses([Sample(**row) for row in rows])


async def predict(connection: Connection, job: NewJob, now: datetime) -> AnalysisAccepted:
    """Write the place and the estimate of a job that was just queued, and return them.

    They answer later requests with the same idempotency key, and show at the end how good the estimate was.
    """
    place = (await queue_places(connection, [job.id]))[job.id]
    running = await running_jobs(connection, now)
    accepted = AnalysisAccepted(
        job_id=job.id,
        version=job.version,
        queue_position=place.position,
        estimated_seconds=queued_job_seconds(place, running, await latest_analyses(connection)),
    )
    await save_accepted(connection, job.id, accepted)
    return accepted
