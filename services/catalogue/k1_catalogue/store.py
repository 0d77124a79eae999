"""Writing the schema `catalogue`: one function a change, each inside its caller's transaction.

A transaction locks its track first (`lock_track`), so the changes of one track follow each other. It
writes tracks before jobs: the totals behind them are then always locked in one order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from k1_catalogue.lifecycle import Job, TrackState
from k1_catalogue.search import index_text
from k1_contracts.messages.analysis import AnalysisAccepted, AnalysisCompleted
from k1_contracts.messages.tracks import TrackUploaded
from k1_contracts.tracks import ArtefactRef, AudioRef, Notice, Preset, TrackStatus
from k1_platform.database import Connection

SCHEMA: Final = "catalogue"


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What a new job is: who it is for and how urgent."""

    job_id: str
    track_id: str
    version: int
    priority: int
    preset: Preset | None
    audio_ms: float | None
    created_at: datetime
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class StoredArtefact:
    """An artefact of a version; `inline_json` is its text when it is a small JSON object."""

    ref: ArtefactRef
    inline_json: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """What an analysis needs to know of a track."""

    audio: AudioRef
    filename: str
    preset: Preset | None


def storable(text: str) -> str:
    """PostgreSQL holds every character but NUL."""
    return text.replace("\0", "")


async def insert_track(connection: Connection, fact: TrackUploaded) -> bool:
    """Add a track; False when it is there already."""
    title, artist = storable(fact.title), storable(fact.artist) if fact.artist else None
    tags = [storable(tag) for tag in fact.tags]
    status = await connection.execute(
        """
        INSERT INTO catalogue.tracks
            (id, title, artist, tags, preset, filename, audio, search, status, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::tsvector, 'processing', $9, $9)
        ON CONFLICT (id) DO NOTHING
        """,
        fact.track_id,
        title,
        artist,
        tags,
        fact.preset,
        storable(fact.filename),
        fact.audio.model_dump_json(),
        index_text(title, artist, tags),
        fact.uploaded_at,
    )
    return status == "INSERT 0 1"


async def lock_track(connection: Connection, track_id: str) -> Source | None:
    """Keep other transactions from changing this track; None when there is no such track."""
    row = await connection.fetchrow(
        "SELECT audio, filename, preset FROM catalogue.tracks WHERE id = $1 FOR UPDATE", track_id
    )
    return Source(AudioRef.model_validate_json(row["audio"]), row["filename"], row["preset"]) if row else None


async def insert_job(connection: Connection, order: JobOrder) -> None:
    """Add a version and the job that is to make it."""
    await connection.execute(
        """
        INSERT INTO catalogue.versions (track_id, version, job_id, status, created_at)
        VALUES ($1, $2, $3, 'processing', $4)
        """,
        order.track_id,
        order.version,
        order.job_id,
        order.created_at,
    )
    await connection.execute(
        """
        INSERT INTO catalogue.jobs
            (id, track_id, version, status, priority, preset, audio_ms, created_at, idempotency_key)
        VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, $8)
        """,
        order.job_id,
        order.track_id,
        order.version,
        order.priority,
        order.preset,
        order.audio_ms,
        order.created_at,
        order.idempotency_key,
    )


async def next_version(connection: Connection, track_id: str) -> int:
    """The number of a track's next version."""
    latest = await connection.fetchval(
        "SELECT max(version) FROM catalogue.versions WHERE track_id = $1", track_id
    )
    return (latest or 0) + 1


async def find_job(connection: Connection, job_id: str) -> Job | None:
    """The state of a job; None when there is no such job."""
    row = await connection.fetchrow(
        """
        SELECT id, track_id, version, status, attempt, worker_id, engine,
               started_at, ended_at, error, elapsed_ms, reused
        FROM catalogue.jobs WHERE id = $1
        """,
        job_id,
    )
    return _job(row) if row else None


async def save_job(connection: Connection, job: Job) -> None:
    """Write the state of a job."""
    error = job.error and Notice(code=job.error.code, message=storable(job.error.message))
    await connection.execute(
        """
        UPDATE catalogue.jobs SET status = $2, attempt = $3, worker_id = $4, engine = $5,
            started_at = $6, ended_at = $7, error = $8, elapsed_ms = $9, reused = $10
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
    )


async def save_version_status(connection: Connection, job: Job, status: TrackStatus) -> None:
    """Write the status of a job's version."""
    await connection.execute(
        "UPDATE catalogue.versions SET status = $3 WHERE track_id = $1 AND version = $2",
        job.track_id,
        job.version,
        status,
    )


async def save_result(
    connection: Connection,
    fact: AnalysisCompleted,
    status: TrackStatus,
    map_sha256: str,
    artefacts: Sequence[StoredArtefact],
) -> None:
    """Write what an analysis found, and its artefacts; the job learns how long the audio really is."""
    await connection.execute(
        """
        UPDATE catalogue.versions SET status = $3, engine = $4, summary = $5, warnings = $6, map_sha256 = $7
        WHERE track_id = $1 AND version = $2
        """,
        fact.track_id,
        fact.version,
        status,
        fact.engine,
        fact.summary.model_dump_json(),
        f"[{','.join(notice.model_dump_json() for notice in fact.warnings)}]",
        map_sha256,
    )
    await connection.execute(
        "UPDATE catalogue.jobs SET audio_ms = $2 WHERE id = $1", fact.job_id, fact.summary.duration_ms
    )
    await insert_artefacts(connection, fact.track_id, fact.version, artefacts, fact.completed_at)


async def insert_artefacts(
    connection: Connection, track_id: str, version: int, artefacts: Sequence[StoredArtefact], at: datetime
) -> None:
    """Add artefacts to a version."""
    await connection.executemany(
        """
        INSERT INTO catalogue.artefacts
            (track_id, version, id, type, name, key, size_bytes, sha256, content_type, inline_json, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        [(track_id, version, *_artefact_values(each), at) for each in artefacts],
    )


async def version_statuses(connection: Connection, track_id: str) -> dict[int, TrackStatus]:
    """The status of each version of a track."""
    rows = await connection.fetch(
        "SELECT version, status FROM catalogue.versions WHERE track_id = $1", track_id
    )
    return {row["version"]: row["status"] for row in rows}


async def save_track_state(connection: Connection, track_id: str, state: TrackState, at: datetime) -> None:
    """Write a track's status and the figures of the version in use; `at` is the time of the change."""
    await connection.execute(
        """
        UPDATE catalogue.tracks AS t SET
            status = $2,
            current_version = $3,
            duration_ms = (v.summary ->> 'duration_ms')::double precision,
            bpm = (v.summary ->> 'bpm')::double precision,
            f_measure = (v.summary ->> 'f_measure')::double precision,
            updated_at = greatest(t.updated_at, $4)
        FROM (SELECT 1) AS always
        LEFT JOIN catalogue.versions AS v ON v.track_id = $1 AND v.version = $3
        WHERE t.id = $1
        """,
        track_id,
        state.status,
        state.current_version,
        at,
    )


async def save_accepted(connection: Connection, job_id: str, accepted: AnalysisAccepted) -> None:
    """Keep the answer to a request, for when its idempotency key comes again."""
    await connection.execute(
        "UPDATE catalogue.jobs SET accepted = $2 WHERE id = $1", job_id, accepted.model_dump_json()
    )


async def write_audit(
    connection: Connection,
    job: Job | JobOrder,
    *,
    at: datetime,
    actor: str,
    action: str,
    detail: str | None = None,
) -> None:
    """Add who did what and when; it is the log of the job as well."""
    job_id = job.id if isinstance(job, Job) else job.job_id
    await audit_track(
        connection, job.track_id, at=at, actor=actor, action=action, detail=detail, job_id=job_id
    )


async def audit_track(
    connection: Connection,
    track_id: str,
    *,
    at: datetime,
    actor: str,
    action: str,
    detail: str | None = None,
    job_id: str | None = None,
) -> None:
    """Add who did what to a track and when."""
    await connection.execute(
        "INSERT INTO catalogue.audit (track_id, job_id, at, actor, action, detail)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        track_id,
        job_id,
        at,
        actor,
        action,
        storable(detail) if detail else None,
    )


def _job(row: asyncpg.Record) -> Job:
    values = dict(row)
    values["error"] = Notice.model_validate_json(row["error"]) if row["error"] else None
    return Job(**values)


def _artefact_values(stored: StoredArtefact) -> tuple[object, ...]:
    ref = stored.ref
    identity = (ref.id, ref.type, ref.name, ref.key)
    return (*identity, ref.size_bytes, ref.sha256, ref.content_type, stored.inline_json)
