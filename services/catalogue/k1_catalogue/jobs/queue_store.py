"""The queue of jobs in the table `jobs`, and what its estimates are made from."""

from collections.abc import Sequence
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

_SAMPLES: Final = 100
"""The number of latest analyses that the estimates of all presets are made from."""


async def queue_places(connection: Connection, job_ids: Sequence[str]) -> dict[str, QueuePlace]:
    """Return the places of these jobs in the queue, by priority, then by age; only queued jobs have one."""
    rows = await connection.fetch(
        """
        SELECT id, audio_ms, preset, place, ahead_ms, ahead_unknown
        FROM (
            SELECT id, audio_ms, preset, row_number() OVER queue AS place,
                   coalesce(sum(audio_ms) OVER before, 0) AS ahead_ms,
                   count(*) FILTER (WHERE audio_ms IS NULL) OVER before AS ahead_unknown
            FROM catalogue.jobs WHERE status = 'queued'
            WINDOW queue AS (ORDER BY priority DESC, created_at, id),
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
        _SAMPLES,
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
