"""The table `beat_edits`: the versions that people made of an analysis, and the beats of each.

A version with another graph has a row too, which repeats what is known of its beats.
"""

import json
from typing import Any, Final

import asyncpg

from k1_catalogue import errors
from k1_catalogue.beats.override import BeatEdit
from k1_catalogue.database import without_nul
from k1_catalogue.graphs.graph_changes import count_changes
from k1_contracts.graph import GraphImpact
from k1_contracts.messages.catalogue.beats import BeatAuthor, BeatChanges, CurrentBeatOverride
from k1_contracts.messages.catalogue.tracks import BeatEditCounts, VersionEdit
from k1_platform.postgres.pool import Connection

_COLUMNS: Final = (
    "version, base_version, previous_version, removed, author, created_at, changes, note, f_measure, cemgil,"
    " idempotency_key, request_sha256"
)


async def find_edit(connection: Connection, track_id: str, version: int) -> BeatEdit | None:
    """Return the edit of a version; None for a version that an analysis made."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM catalogue.beat_edits"  # noqa: S608  a constant of ours
        " WHERE track_id = $1 AND version = $2",
        track_id,
        version,
    )
    return _edit(row) if row else None


async def find_repeated(
    connection: Connection, track_id: str, idempotency_key: str | None, request_sha256: str
) -> BeatEdit | None:
    """Return the edit of this track that was requested before with this idempotency key; None without a key.

    Raises:
        QueryError: `idempotency_key_reused`, the earlier request was another one.
    """
    if idempotency_key is None:
        return None
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM catalogue.beat_edits"  # noqa: S608  a constant of ours
        " WHERE track_id = $1 AND idempotency_key = $2",
        track_id,
        without_nul(idempotency_key),
    )
    if row is not None and row["request_sha256"] != request_sha256:
        raise errors.idempotency_key_reused(idempotency_key)
    return _edit(row) if row else None


async def latest_edit(connection: Connection, track_id: str, base_version: int) -> BeatEdit | None:
    """Return the newest edit of the line of a base version; None if there is none."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM catalogue.beat_edits"  # noqa: S608  a constant of ours
        " WHERE track_id = $1 AND base_version = $2 ORDER BY version DESC LIMIT 1",
        track_id,
        base_version,
    )
    return _edit(row) if row else None


async def current_override(connection: Connection, track_id: str) -> CurrentBeatOverride | None:
    """Return the override of the version in use; None where its beats are those of its analysis."""
    row = await connection.fetchrow(
        """
        SELECT e.version, e.base_version, e.note, e.author, e.created_at, e.f_measure, e.cemgil
        FROM catalogue.tracks AS t
        JOIN catalogue.beat_edits AS e ON e.track_id = t.id AND e.version = t.current_version
        WHERE t.id = $1 AND NOT e.removed
        """,
        track_id,
    )
    if row is None:
        return None
    return CurrentBeatOverride.model_validate({**row, "author": json.loads(row["author"])})


async def version_edits(connection: Connection, track_id: str) -> dict[int, VersionEdit]:
    """Return what people changed to make versions of a track, by version."""
    rows = await connection.fetch(
        """
        SELECT e.version, e.previous_version, (e.changes ->> 'moved_count')::int AS moved,
            (e.changes ->> 'added_count')::int AS added, (e.changes ->> 'removed_count')::int AS removed,
            i.inline_json AS impact
        FROM catalogue.beat_edits AS e
        LEFT JOIN catalogue.artefacts AS i
            ON i.track_id = e.track_id AND i.version = e.version AND i.type = 'graph_impact'
        WHERE e.track_id = $1
        """,
        track_id,
    )
    return {
        row["version"]: VersionEdit(
            previous_version=row["previous_version"],
            beats=BeatEditCounts(moved=row["moved"], added=row["added"], removed=row["removed"]),
            graph=count_changes(GraphImpact.model_validate_json(row["impact"])) if row["impact"] else None,
        )
        for row in rows
    }


async def insert_edit(connection: Connection, track_id: str, edit: BeatEdit) -> None:
    """Add an edit; its version must exist."""
    await connection.execute(
        f"INSERT INTO catalogue.beat_edits (track_id, {_COLUMNS})"  # noqa: S608  a constant of ours
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        track_id,
        edit.version,
        edit.base_version,
        edit.previous_version,
        edit.removed,
        edit.author.model_dump_json(),
        edit.created_at,
        edit.changes.model_dump_json(),
        edit.note,
        edit.f_measure,
        edit.cemgil,
        without_nul(edit.idempotency_key) if edit.idempotency_key is not None else None,
        edit.request_sha256,
    )


def _edit(row: asyncpg.Record) -> BeatEdit:
    fields: dict[str, Any] = {
        **row,
        "author": BeatAuthor.model_validate_json(row["author"]),
        "changes": BeatChanges.model_validate_json(row["changes"]),
    }
    return BeatEdit(**fields)
