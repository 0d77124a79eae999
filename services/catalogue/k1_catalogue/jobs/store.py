"""The table `jobs`: jobs, and the requests that made them."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from k1_catalogue.database import without_nul
from k1_catalogue.jobs.cost import Prices, Usage, job_cost
from k1_catalogue.jobs.lifecycle import Job
from k1_catalogue.tracks import totals_store
from k1_contracts.messages.analysis import AnalysisAccepted, JobView, ListJobs
from k1_contracts.tracks import JobStatus, Notice, Preset
from k1_platform.cursors import LastRow
from k1_platform.postgres.pool import Connection

_VIEW: Final = """
    SELECT j.id, j.track_id, j.version, j.status, j.priority, j.preset, j.audio_ms, j.error, j.elapsed_ms, j.cpu_s,
           j.inference_s, j.bytes_stored, j.created_at, j.started_at, j.ended_at, v.warnings
    FROM catalogue.jobs AS j JOIN catalogue.versions AS v USING (track_id, version)
"""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be added for a new version of a track."""

    id: str
    track_id: str
    version: int
    priority: int
    preset: Preset | None
    audio_ms: float | None
    created_at: datetime
    requested_by: str | None
    """The id of the actor; None: a service."""
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What a job was asked to do, and its status."""

    track_id: str
    version: int
    status: JobStatus
    preset: Preset | None
    priority: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Prediction:
    """In how many seconds after its creation a job was expected to end."""

    created_at: datetime
    expected_s: float


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """An earlier request with the same idempotency key, and the response to it."""

    priority: int | None
    """None: the job was moved in the queue since."""
    preset: Preset | None
    accepted: AnalysisAccepted


async def insert_job(connection: Connection, new: NewJob) -> None:
    """Add a queued job; its version must exist."""
    await connection.execute(
        """
        INSERT INTO catalogue.jobs
            (id, track_id, version, status, priority, preset, audio_ms, created_at, idempotency_key, requested_by)
        VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9)
        """,
        new.id,
        new.track_id,
        new.version,
        new.priority,
        new.preset,
        new.audio_ms,
        new.created_at,
        new.idempotency_key,
        new.requested_by,
    )


async def find_job(connection: Connection, job_id: str) -> Job | None:
    """Return the state of a job; None if there is no such job."""
    row = await connection.fetchrow(
        """
        SELECT id, track_id, version, status, attempt, worker_id, engine,
               started_at, ended_at, error, elapsed_ms, reused, cpu_s, inference_s, bytes_stored
        FROM catalogue.jobs WHERE id = $1
        """,
        job_id,
    )
    if row is None:
        return None
    fields: dict[str, Any] = {**row, "error": _error(row)}
    return Job(**fields)


async def was_removed(connection: Connection, job_id: str) -> bool:
    """Return whether the job ended long ago and was removed: its version is still there."""
    query = """
        SELECT EXISTS (SELECT FROM catalogue.versions WHERE job_id = $1)
           AND NOT EXISTS (SELECT FROM catalogue.jobs WHERE id = $1)
    """
    return bool(await connection.fetchval(query, job_id))


async def find_order(connection: Connection, job_id: str) -> JobOrder | None:
    """Return what a job was asked to do; None if there is no such job."""
    row = await connection.fetchrow(
        "SELECT track_id, version, status, preset, priority, created_at FROM catalogue.jobs WHERE id = $1",
        job_id,
    )
    return None if row is None else JobOrder(**row)


async def lock_status(connection: Connection, job_id: str) -> JobStatus | None:
    """Keep other transactions from changing a job, and return its status; None if there is no such job."""
    return await connection.fetchval("SELECT status FROM catalogue.jobs WHERE id = $1 FOR UPDATE", job_id)


async def save_job(connection: Connection, job: Job) -> None:
    """Write the state of a job."""
    error = job.error and Notice(code=job.error.code, message=without_nul(job.error.message))
    await connection.execute(
        """
        UPDATE catalogue.jobs SET status = $2, attempt = $3, worker_id = $4, engine = $5,
            started_at = $6, ended_at = $7, error = $8, elapsed_ms = $9, reused = $10, cpu_s = $11,
            bytes_stored = $12, inference_s = $13
        WHERE id = $1
        """,
        job.id,
        job.status,
        job.attempt,
        job.worker_id,
        job.engine,
        job.started_at,
        job.ended_at,
        error.model_dump_json() if error else None,
        job.elapsed_ms,
        job.reused,
        job.cpu_s,
        job.bytes_stored,
        job.inference_s,
    )


async def save_audio_length(connection: Connection, job_id: str, audio_ms: float) -> None:
    """Write the length of the decoded audio, in ms, in place of the length that the file names."""
    await connection.execute("UPDATE catalogue.jobs SET audio_ms = $2 WHERE id = $1", job_id, audio_ms)


async def save_accepted(connection: Connection, job_id: str, accepted: AnalysisAccepted) -> None:
    """Write the response to a request, for later requests with the same idempotency key."""
    await connection.execute(
        "UPDATE catalogue.jobs SET accepted = $2 WHERE id = $1", job_id, accepted.model_dump_json()
    )


async def find_job_row(connection: Connection, job_id: str) -> asyncpg.Record | None:
    """Return the row of one job, for `to_job_view`."""
    return await connection.fetchrow(f"{_VIEW} WHERE j.id = $1", job_id)


async def newest_job_rows(
    connection: Connection, query: ListJobs, after: LastRow | None
) -> list[asyncpg.Record]:
    """Return the rows of a page of jobs, the newest first, and the first row of the next page, for `to_job_view`."""
    chosen = ["true"]
    arguments: list[object] = [query.limit + 1]
    for column, value in (("status", query.status), ("track_id", query.track_id)):
        if value is not None:
            arguments.append(value)
            chosen.append(f"j.{column} = ${len(arguments)}")
    if after is not None:
        arguments += [after.time, after.id]
        chosen.append(f"(j.created_at, j.id) < (${len(arguments) - 1}, ${len(arguments)})")
    where = " AND ".join(chosen)
    return await connection.fetch(
        f"{_VIEW} WHERE {where} ORDER BY j.created_at DESC, j.id DESC LIMIT $1", *arguments
    )


async def count_jobs(connection: Connection, query: ListJobs) -> int:
    """Return how many jobs the list has on all its pages."""
    if query.track_id is None:
        return await totals_store.count_rows(connection, "jobs", query.status)
    total: int | None = await connection.fetchval(
        "SELECT count(*) FROM catalogue.jobs WHERE track_id = $1 AND ($2::text IS NULL OR status = $2)",
        query.track_id,
        query.status,
    )
    return total or 0


def to_job_view(row: asyncpg.Record, prices: Prices) -> JobView:
    """Return the view of a job, without its place in the queue and its progress."""
    return JobView(
        job_id=row["id"],
        track_id=row["track_id"],
        version=row["version"],
        status=row["status"],
        percent=100 if row["status"] == "completed" else 0,
        priority=row["priority"],
        warnings=json.loads(row["warnings"]),
        error=_error(row),
        elapsed_ms=row["elapsed_ms"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        cost=None
        if row["cpu_s"] is None
        else job_cost(Usage(row["cpu_s"], row["inference_s"], row["bytes_stored"] or 0), prices),
    )


async def count_by_status(connection: Connection) -> dict[str, int]:
    """Return how many jobs there are of each status."""
    return await totals_store.count_by_status(connection, "jobs")


async def find_prediction(connection: Connection, job_id: str) -> Prediction | None:
    """Return what was expected when a job was accepted.

    None if there was nothing to estimate from, or the job was moved in the queue since.
    """
    row = await connection.fetchrow(
        """
        SELECT created_at, (accepted ->> 'estimated_seconds')::float8 AS expected_s
        FROM catalogue.jobs WHERE id = $1 AND accepted ->> 'estimated_seconds' IS NOT NULL AND moves IS NULL
        """,
        job_id,
    )
    return None if row is None else Prediction(**row)


async def find_earlier_request(
    connection: Connection, track_id: str, idempotency_key: str
) -> EarlierRequest | None:
    """Return the request on this track that had this idempotency key; None if there was none."""
    row = await connection.fetchrow(
        """
        SELECT CASE WHEN moves IS NULL THEN priority END AS priority, preset, accepted FROM catalogue.jobs
        WHERE track_id = $1 AND idempotency_key = $2
        """,
        track_id,
        idempotency_key,
    )
    if row is None:
        return None
    accepted = AnalysisAccepted.model_validate_json(row["accepted"])
    return EarlierRequest(row["priority"], row["preset"], accepted)


def _error(row: asyncpg.Record) -> Notice | None:
    return Notice.model_validate_json(row["error"]) if row["error"] else None
