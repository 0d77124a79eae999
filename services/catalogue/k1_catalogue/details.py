"""Reading tracks, versions and artefacts: one function a question."""

import json
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from k1_contracts.messages.tracks import Artefact, Track
from k1_contracts.tracks import AnalysisSummary, AudioRef
from k1_platform.database import Connection

MOST_SAME: Final = 20
"""Other tracks with the same recording that are named."""
_VERSION: Final = """
    SELECT version, status, created_at, engine, job_id, summary, warnings, map_sha256
    FROM catalogue.versions WHERE track_id = $1
"""
_ARTEFACT: Final = "version, id, type, name, key, size_bytes, sha256, content_type, created_at"


@dataclass(frozen=True, slots=True)
class KeptArtefact:
    """An artefact and where it lies in the object store."""

    version: int
    key: str
    artefact: Artefact


async def find_track(connection: Connection, track_id: str) -> Track | None:
    """A track's own fields."""
    row = await connection.fetchrow(
        """
        SELECT id, title, artist, duration_ms, bpm, f_measure, status, preset, tags, current_version,
               created_at, updated_at, filename, audio
        FROM catalogue.tracks WHERE id = $1
        """,
        track_id,
    )
    if row is None:
        return None
    return Track.model_validate({**row, "audio": AudioRef.model_validate_json(row["audio"])})


async def same_recordings(connection: Connection, track_id: str) -> list[str]:
    """The other tracks of which a version was decoded to the same samples as one of this track's, oldest first."""
    rows = await connection.fetch(
        """
        SELECT id FROM catalogue.tracks
        WHERE id <> $1 AND id IN (
            SELECT theirs.track_id FROM catalogue.versions AS mine
            JOIN catalogue.versions AS theirs ON theirs.summary ->> 'pcm_sha256' = mine.summary ->> 'pcm_sha256'
            WHERE mine.track_id = $1
        )
        ORDER BY created_at, id LIMIT $2
        """,
        track_id,
        MOST_SAME,
    )
    return [row["id"] for row in rows]


async def find_versions(connection: Connection, track_id: str) -> list[dict[str, Any]]:
    """The fields of a VersionSummary, but for its artefacts, of each version, newest first."""
    return [_version(row) for row in await connection.fetch(f"{_VERSION} ORDER BY version DESC", track_id)]


async def find_version(connection: Connection, track_id: str, version: int) -> dict[str, Any] | None:
    """The same fields of one version, and `map_sha256`, which is None as long as there is no map."""
    row = await connection.fetchrow(f"{_VERSION} AND version = $2", track_id, version)
    return _version(row) if row else None


async def artefacts_of_track(connection: Connection, track_id: str) -> list[KeptArtefact]:
    """The artefacts of all versions of a track, without their content."""
    rows = await connection.fetch(
        f"SELECT {_ARTEFACT}, NULL AS inline_json FROM catalogue.artefacts"  # noqa: S608  a constant of ours
        " WHERE track_id = $1 ORDER BY id",
        track_id,
    )
    return [_artefact(row) for row in rows]


async def artefacts_of_version(
    connection: Connection, track_id: str, version: int, *, inline: bool
) -> list[KeptArtefact]:
    """The artefacts of one version; `inline` asks for the content of the small ones as well."""
    content = "inline_json" if inline else "NULL AS inline_json"
    rows = await connection.fetch(
        f"SELECT {_ARTEFACT}, {content} FROM catalogue.artefacts"  # noqa: S608  constants of ours
        " WHERE track_id = $1 AND version = $2 ORDER BY id",
        track_id,
        version,
    )
    return [_artefact(row) for row in rows]


def _version(row: asyncpg.Record) -> dict[str, Any]:
    summary = AnalysisSummary.model_validate_json(row["summary"]) if row["summary"] else None
    return {**row, "summary": summary, "warnings": json.loads(row["warnings"])}


def _artefact(row: asyncpg.Record) -> KeptArtefact:
    content = json.loads(row["inline_json"]) if row["inline_json"] else None
    fields = {**row, "status": "present", "inline_json": content}
    return KeptArtefact(row["version"], row["key"], Artefact.model_validate(fields))
