"""Reading jobs and their queue: one function a question."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from k1_catalogue.estimates import Running, Speed, Waiting, measure_speed
from k1_contracts.base import rfc3339
from k1_contracts.messages.analysis import AnalysisAccepted, JobView
from k1_contracts.tracks import JobStatus, Notice, Preset
from k1_platform.database import Connection

_SAMPLES: Final = 20
"""So many of the latest analyses tell how fast the workers are."""
_LOG_LINES: Final = 20

_VIEW: Final = """
    SELECT j.id, j.track_id, j.version, j.status, j.priority, j.audio_ms, j.error, j.elapsed_ms,
           j.created_at, j.started_at, j.ended_at, v.warnings
    FROM catalogue.jobs AS j JOIN catalogue.versions AS v USING (track_id, version)
"""


@dataclass(frozen=True, slots=True)
class Repeated:
    """A request whose idempotency key is known: what it asked for and what was answered."""

    priority: int
    preset: Preset | None
    accepted: AnalysisAccepted


async def find_view(connection: Connection, job_id: str) -> asyncpg.Record | None:
    """The row of one job, for `view`."""
    return await connection.fetchrow(f"{_VIEW} WHERE j.id = $1", job_id)


async def newest_views(connection: Connection, status: JobStatus | None, limit: int) -> list[asyncpg.Record]:
    """The rows of the newest jobs, of one status or all."""
    if status is None:
        return await connection.fetch(f"{_VIEW} ORDER BY j.created_at DESC, j.id DESC LIMIT $1", limit)
    return await connection.fetch(
        f"{_VIEW} WHERE j.status = $1 ORDER BY j.created_at DESC, j.id DESC LIMIT $2", status, limit
    )


async def count(connection: Connection, status: JobStatus | None) -> int:
    """How many jobs there are, of one status or all."""
    total: int | None = await connection.fetchval(
        """
        SELECT sum(n)::bigint FROM catalogue.totals
        WHERE kind = 'jobs' AND ($1::text IS NULL OR status = $1)
        """,
        status,
    )
    return total or 0


async def count_by_status(connection: Connection) -> dict[JobStatus, int]:
    """How many jobs there are of each status."""
    rows = await connection.fetch(
        "SELECT status, sum(n)::bigint AS n FROM catalogue.totals WHERE kind = 'jobs' GROUP BY status"
    )
    return {row["status"]: row["n"] for row in rows}


async def waiting(connection: Connection, job_ids: Sequence[str]) -> dict[str, Waiting]:
    """The places of these jobs in the queue: by priority, then by age. Jobs that do not wait are left out."""
    rows = await connection.fetch(
        """
        SELECT id, audio_ms, place, ahead_ms, ahead_unknown
        FROM (
            SELECT id, audio_ms, row_number() OVER queue AS place,
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
        row["id"]: Waiting(row["place"], row["audio_ms"], row["ahead_ms"], row["ahead_unknown"])
        for row in rows
    }


async def running(connection: Connection, now: datetime) -> list[Running]:
    """The jobs that workers have."""
    rows = await connection.fetch(
        "SELECT audio_ms, started_at FROM catalogue.jobs WHERE status = 'processing'"
    )
    return [Running(row["audio_ms"], (now - row["started_at"]).total_seconds()) for row in rows]


async def speed(connection: Connection) -> Speed | None:
    """How fast the latest analyses were; None before the first."""
    rows = await connection.fetch(
        """
        SELECT elapsed_ms, audio_ms FROM catalogue.jobs
        WHERE status = 'completed' AND NOT reused AND audio_ms > 0
        ORDER BY ended_at DESC LIMIT $1
        """,
        _SAMPLES,
    )
    return measure_speed([(row["elapsed_ms"], row["audio_ms"]) for row in rows])


async def log_tail(connection: Connection, job_id: str) -> list[str]:
    """The last lines of what happened to a job, oldest first."""
    rows = await connection.fetch(
        "SELECT at, actor, action, detail FROM catalogue.audit WHERE job_id = $1 ORDER BY id DESC LIMIT $2",
        job_id,
        _LOG_LINES,
    )
    return [_log_line(row) for row in reversed(rows)]


async def repeated(connection: Connection, track_id: str, idempotency_key: str) -> Repeated | None:
    """What was answered to the request with this key, if it came before."""
    row = await connection.fetchrow(
        """
        SELECT priority, preset, accepted FROM catalogue.jobs
        WHERE track_id = $1 AND idempotency_key = $2
        """,
        track_id,
        idempotency_key,
    )
    if row is None:
        return None
    return Repeated(row["priority"], row["preset"], AnalysisAccepted.model_validate_json(row["accepted"]))


def view(row: asyncpg.Record) -> JobView:
    """A row of `find_view` or `newest_views`, before its place in the queue and its progress are known."""
    return JobView(
        job_id=row["id"],
        track_id=row["track_id"],
        version=row["version"],
        status=row["status"],
        percent=100 if row["status"] == "completed" else 0,
        priority=row["priority"],
        warnings=json.loads(row["warnings"]),
        error=Notice.model_validate_json(row["error"]) if row["error"] else None,
        elapsed_ms=row["elapsed_ms"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )


def _log_line(row: asyncpg.Record) -> str:
    line = f"{rfc3339(row['at'])} {row['action']} by {row['actor']}"
    return f"{line}: {row['detail']}" if row["detail"] else line
