"""The tables `tracks` and `versions`: one function for each read or change.

Functions that write run in their caller's transaction. A transaction locks its track first (`lock_track`), so the
changes of one track follow each other. It writes tracks before jobs, so that all transactions lock the counters in the
same order.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from k1_catalogue.database import without_nul
from k1_catalogue.tracks.search import index_text, sort_key
from k1_catalogue.tracks.status import VersionChoice, track_state
from k1_contracts.messages.analysis import AnalysisCompleted
from k1_contracts.messages.catalogue.track_uploads import TrackCreated
from k1_contracts.messages.catalogue.tracks import Track, TrackUploaded
from k1_contracts.tracks import AnalysisSummary, AudioRef, Notice, Preset, VersionStatus
from k1_platform.postgres.pool import Connection

MAX_SAME_RECORDINGS: Final = 20
"""Other tracks with the same recording that a track's detail names."""
_VERSION: Final = """
    SELECT version, status, created_at, engine, job_id, summary, warnings, map_sha256
    FROM catalogue.versions WHERE track_id = $1
"""


_TRACK: Final = (
    "id, title, artist, duration_ms, bpm, f_measure, status, preset, tags, current_version, created_at, updated_at,"
    " filename, audio, notes, deleted_at"
)


@dataclass(frozen=True, slots=True)
class DetailHead:
    """A track, and which other parts its detail has."""

    track: Track
    revision: int
    """How often the track was edited, plus one."""
    same_recordings: list[str]
    """The oldest other tracks that have a version with the same decoded samples as one of this track's."""
    has_deployments: bool
    has_beat_edits: bool


@dataclass(frozen=True, slots=True)
class AnalysisInput:
    """The part of a track that an analysis needs."""

    audio: AudioRef
    filename: str
    preset: Preset | None
    is_deleted: bool = False


async def insert_track(connection: Connection, event: TrackUploaded) -> bool:
    """Add a track, or its song to a track that waits for it; return False if the track has its song already."""
    title, artist = without_nul(event.title), without_nul(event.artist) if event.artist else None
    tags = [without_nul(tag) for tag in event.tags]
    status = await connection.execute(
        """
        INSERT INTO catalogue.tracks
            (id, title, artist, tags, preset, filename, audio, search, title_key, status, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::tsvector, $10, 'processing', $9, $9)
        ON CONFLICT (id) DO UPDATE SET
            title = excluded.title, artist = excluded.artist, tags = excluded.tags, preset = excluded.preset,
            filename = excluded.filename, audio = excluded.audio, search = excluded.search,
            title_key = excluded.title_key, status = 'processing', updated_at = excluded.updated_at
        WHERE tracks.audio IS NULL
        """,
        event.track_id,
        title,
        artist,
        tags,
        event.preset,
        without_nul(event.filename),
        event.audio.model_dump_json(),
        index_text(title, artist, tags),
        event.uploaded_at,
        sort_key(title),
    )
    return status == "INSERT 0 1"


async def insert_expected_track(connection: Connection, event: TrackCreated) -> bool:
    """Add a track whose song is on its way; return False if the track exists."""
    title, artist = without_nul(event.title), without_nul(event.artist) if event.artist else None
    tags = [without_nul(tag) for tag in event.tags]
    status = await connection.execute(
        """
        INSERT INTO catalogue.tracks
            (id, title, artist, tags, preset, filename, search, title_key, status, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, '', $6::text::tsvector, $8, 'uploading', $7, $7)
        ON CONFLICT (id) DO NOTHING
        """,
        event.track_id,
        title,
        artist,
        tags,
        event.preset,
        index_text(title, artist, tags),
        event.created_at,
        sort_key(title),
    )
    return status == "INSERT 0 1"


async def delete_expected_track(connection: Connection, track_id: str) -> bool:
    """Remove a track that waits for its song; return False if there is none, or one that has its song."""
    status = await connection.execute(
        "DELETE FROM catalogue.tracks WHERE id = $1 AND audio IS NULL", track_id
    )
    return status == "DELETE 1"


async def lock_track(connection: Connection, track_id: str) -> AnalysisInput | None:
    """Keep other transactions from changing this track; return None if there is none, or none with a song."""
    row = await connection.fetchrow(
        "SELECT audio, filename, preset, deleted_at FROM catalogue.tracks WHERE id = $1 FOR UPDATE", track_id
    )
    if row is None or row["audio"] is None:
        return None
    audio = AudioRef.model_validate_json(row["audio"])
    return AnalysisInput(audio, row["filename"], row["preset"], row["deleted_at"] is not None)


async def insert_version(
    connection: Connection, track_id: str, version: int, job_id: str, created_at: datetime
) -> None:
    """Add a version that its job is still to make."""
    await connection.execute(
        """
        INSERT INTO catalogue.versions (track_id, version, job_id, status, created_at)
        VALUES ($1, $2, $3, 'processing', $4)
        """,
        track_id,
        version,
        job_id,
        created_at,
    )


@dataclass(frozen=True, slots=True)
class FinishedVersion:
    """A version that was made without an analysis, from the result of one."""

    version: int
    status: VersionStatus
    engine: str | None
    summary: AnalysisSummary
    warnings: Sequence[Notice]
    map_sha256: str
    created_at: datetime


async def insert_finished_version(connection: Connection, track_id: str, new: FinishedVersion) -> None:
    """Add a version that has its map already, and no job."""
    await connection.execute(
        """
        INSERT INTO catalogue.versions
            (track_id, version, status, engine, summary, warnings, map_sha256, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        track_id,
        new.version,
        new.status,
        new.engine,
        new.summary.model_dump_json(),
        f"[{','.join(notice.model_dump_json() for notice in new.warnings)}]",
        new.map_sha256,
        new.created_at,
    )


async def next_version(connection: Connection, track_id: str) -> int:
    """Return the number of a track's next version."""
    latest = await connection.fetchval(
        "SELECT max(version) FROM catalogue.versions WHERE track_id = $1", track_id
    )
    return (latest or 0) + 1


async def save_version_status(
    connection: Connection, track_id: str, version: int, status: VersionStatus
) -> None:
    """Write the status of a version."""
    await connection.execute(
        "UPDATE catalogue.versions SET status = $3 WHERE track_id = $1 AND version = $2",
        track_id,
        version,
        status,
    )


async def save_version_result(
    connection: Connection, event: AnalysisCompleted, status: VersionStatus, map_sha256: str
) -> None:
    """Write the result of a version's analysis."""
    await connection.execute(
        """
        UPDATE catalogue.versions SET status = $3, engine = $4, summary = $5, warnings = $6, map_sha256 = $7
        WHERE track_id = $1 AND version = $2
        """,
        event.track_id,
        event.version,
        status,
        event.engine,
        event.summary.model_dump_json(),
        f"[{','.join(notice.model_dump_json() for notice in event.warnings)}]",
        map_sha256,
    )


async def version_statuses(connection: Connection, track_id: str) -> dict[int, VersionStatus]:
    """Return the status of each version of a track."""
    rows = await connection.fetch(
        "SELECT version, status FROM catalogue.versions WHERE track_id = $1", track_id
    )
    return {row["version"]: row["status"] for row in rows}


async def refresh_track_state(connection: Connection, track_id: str, at: datetime) -> None:
    """Write the status of a track and the figures of its version in use, which follow from its versions.

    `at` is the time of the change. A deleted track stays deleted, and one without a song waits for it.
    """
    row = await connection.fetchrow(
        "SELECT chosen_version, chosen_before FROM catalogue.tracks WHERE id = $1", track_id
    )
    chosen = None if row is None or row["chosen_version"] is None else VersionChoice(*row)
    state = track_state(await version_statuses(connection, track_id), chosen)
    await connection.execute(
        """
        UPDATE catalogue.tracks AS t SET
            status = CASE WHEN t.deleted_at IS NOT NULL THEN 'deleted' WHEN t.audio IS NULL THEN 'uploading' ELSE $2 END,
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


async def set_updated_at(connection: Connection, track_id: str, at: datetime) -> None:
    """Record that a track was changed at `at`."""
    await connection.execute(
        "UPDATE catalogue.tracks SET updated_at = greatest(updated_at, $2) WHERE id = $1", track_id, at
    )


async def find_track(connection: Connection, track_id: str) -> Track | None:
    """Return a track's own fields; None if there is no such track."""
    row = await connection.fetchrow(f"SELECT {_TRACK} FROM catalogue.tracks WHERE id = $1", track_id)  # noqa: S608
    return _track(row) if row else None


async def find_revision(connection: Connection, track_id: str) -> int:
    """Return how often a track was edited, plus one; 1 if there is no such track."""
    return await connection.fetchval("SELECT revision FROM catalogue.tracks WHERE id = $1", track_id) or 1


async def find_detail(connection: Connection, track_id: str) -> DetailHead | None:
    """Return a track with what its detail shows of itself and other tracks; None if there is no such track.

    One statement: each further one would cost every detail a round trip.
    """
    row = await connection.fetchrow(
        f"""
        SELECT {_TRACK}, revision, ARRAY(
            SELECT other.id FROM catalogue.tracks AS other
            WHERE other.id <> $1 AND other.status <> 'deleted' AND other.id IN (
                SELECT theirs.track_id FROM catalogue.versions AS mine
                JOIN catalogue.versions AS theirs ON theirs.summary ->> 'pcm_sha256' = mine.summary ->> 'pcm_sha256'
                WHERE mine.track_id = $1
            )
            ORDER BY other.created_at, other.id LIMIT {MAX_SAME_RECORDINGS}
        ) AS same_recordings,
        EXISTS (SELECT 1 FROM catalogue.deployments WHERE track_id = $1) AS has_deployments,
        EXISTS (SELECT 1 FROM catalogue.beat_edits WHERE track_id = $1) AS has_beat_edits
        FROM catalogue.tracks WHERE id = $1
        """,  # noqa: S608  built of constants of ours
        track_id,
    )
    if row is None:
        return None
    return DetailHead(
        _track(row), row["revision"], row["same_recordings"], row["has_deployments"], row["has_beat_edits"]
    )


def _track(row: asyncpg.Record) -> Track:
    audio = AudioRef.model_validate_json(row["audio"]) if row["audio"] else None
    return Track.model_validate({**row, "audio": audio})


async def is_deleted(connection: Connection, track_id: str) -> bool:
    """Return whether a track is deleted and not purged yet."""
    found: bool | None = await connection.fetchval(
        "SELECT deleted_at IS NOT NULL FROM catalogue.tracks WHERE id = $1", track_id
    )
    return bool(found)


async def find_versions(connection: Connection, track_id: str) -> list[dict[str, Any]]:
    """Return the fields of a VersionSummary, without artefacts, of each version, newest first."""
    return [_version(row) for row in await connection.fetch(f"{_VERSION} ORDER BY version DESC", track_id)]


async def find_version(connection: Connection, track_id: str, version: int) -> dict[str, Any] | None:
    """Return the same fields of one version, and `map_sha256`, which is None as long as there is no map."""
    row = await connection.fetchrow(f"{_VERSION} AND version = $2", track_id, version)
    return _version(row) if row else None


def _version(row: asyncpg.Record) -> dict[str, Any]:
    summary = AnalysisSummary.model_validate_json(row["summary"]) if row["summary"] else None
    return {**row, "summary": summary, "warnings": json.loads(row["warnings"])}
