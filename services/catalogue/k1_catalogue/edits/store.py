"""Writes edited fields, deletions and undo tokens, and remembers the results of batches.

Every function runs in the transaction of its caller, which has locked the track.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from k1_catalogue.edits.fields import EditableFields
from k1_catalogue.tracks.search import index_text, sort_key
from k1_catalogue.tracks.status import VersionChoice
from k1_contracts.tracks import VersionStatus
from k1_platform.postgres.pool import Connection

_BATCH_MEMORY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DeletionState:
    """When a track was deleted, and whether its purge has begun; None for what has not happened."""

    deleted_at: datetime | None
    purge_started_at: datetime | None


async def read_fields(connection: Connection, track_id: str) -> tuple[EditableFields, int]:
    """Return the editable fields of a track that exists, and its revision."""
    row = await connection.fetchrow(
        """
        SELECT title, artist, tags, preset, notes, chosen_version, chosen_before, revision
        FROM catalogue.tracks WHERE id = $1
        """,
        track_id,
    )
    assert row is not None, "the caller has locked the row"
    chosen = row["chosen_version"]
    choice = None if chosen is None else VersionChoice(chosen, row["chosen_before"])
    fields = EditableFields(
        row["title"], row["artist"], tuple(row["tags"]), row["preset"], row["notes"], choice
    )
    return fields, row["revision"]


async def save_fields(connection: Connection, track_id: str, fields: EditableFields, at: datetime) -> None:
    """Write the editable fields as the next revision."""
    choice = fields.choice
    await connection.execute(
        """
        UPDATE catalogue.tracks SET title = $2, artist = $3, tags = $4, preset = $5, notes = $6,
            chosen_version = $7, chosen_before = $8, search = $9::text::tsvector, title_key = $10,
            revision = revision + 1, updated_at = greatest(updated_at, $11)
        WHERE id = $1
        """,
        track_id,
        fields.title,
        fields.artist,
        list(fields.tags),
        fields.preset,
        fields.notes,
        choice.version if choice else None,
        choice.before if choice else None,
        index_text(fields.title, fields.artist, fields.tags),
        sort_key(fields.title),
        at,
    )


async def version_status(connection: Connection, track_id: str, version: int) -> VersionStatus | None:
    """Return the status of a version; None if there is none."""
    return await connection.fetchval(
        "SELECT status FROM catalogue.versions WHERE track_id = $1 AND version = $2", track_id, version
    )


async def lock_deletion(connection: Connection, track_id: str) -> DeletionState | None:
    """Lock a track and return whether it is deleted; None if there is no such track."""
    row = await connection.fetchrow(
        "SELECT deleted_at, purge_started_at FROM catalogue.tracks WHERE id = $1 FOR UPDATE", track_id
    )
    return DeletionState(*row) if row else None


async def save_deleted_at(connection: Connection, track_id: str, deleted_at: datetime | None) -> None:
    """Mark a track as deleted, or as not deleted any more; the caller refreshes its status."""
    await connection.execute(
        "UPDATE catalogue.tracks SET deleted_at = $2, revision = revision + 1 WHERE id = $1",
        track_id,
        deleted_at,
    )


async def add_undo_token(
    connection: Connection, track_id: str, token_sha256: str, at: datetime, expires_at: datetime
) -> None:
    """Store the hash of an undo token, and remove those that have expired."""
    await connection.execute(
        "DELETE FROM catalogue.undo_tokens WHERE track_id = $1 AND expires_at < $2", track_id, at
    )
    await connection.execute(
        "INSERT INTO catalogue.undo_tokens (track_id, token_sha256, expires_at) VALUES ($1, $2, $3)",
        track_id,
        token_sha256,
        expires_at,
    )


async def is_undo_token(connection: Connection, track_id: str, token_sha256: str, at: datetime) -> bool:
    """Return whether this is the hash of an undo token that has not expired."""
    found: bool | None = await connection.fetchval(
        """
        SELECT true FROM catalogue.undo_tokens WHERE track_id = $1 AND token_sha256 = $2 AND expires_at >= $3
        """,
        track_id,
        token_sha256,
        at,
    )
    return bool(found)


async def remove_undo_tokens(connection: Connection, track_id: str) -> None:
    """Remove the undo tokens of a track."""
    await connection.execute("DELETE FROM catalogue.undo_tokens WHERE track_id = $1", track_id)


async def open_jobs(connection: Connection, track_id: str) -> list[str]:
    """Return the ids of the queued and running jobs of a track."""
    rows = await connection.fetch(
        "SELECT id FROM catalogue.jobs WHERE track_id = $1 AND status IN ('queued', 'processing') ORDER BY id",
        track_id,
    )
    return [row["id"] for row in rows]


async def was_interrupted(connection: Connection, track_id: str) -> bool:
    """Return whether a track has no map because its last job was cancelled, or is being cancelled."""
    return (
        await connection.fetchval(
            """
        SELECT coalesce((SELECT j.status IN ('queued', 'processing', 'cancelled')
                         FROM catalogue.jobs AS j WHERE j.track_id = t.id ORDER BY version DESC LIMIT 1), false)
        FROM catalogue.tracks AS t WHERE id = $1 AND current_version IS NULL
        """,
            track_id,
        )
        or False
    )


async def claim_batch(
    connection: Connection, key: str, request_sha256: str, at: datetime
) -> tuple[str, str | None]:
    """Remember a batch by its key; return the hash of the request that has the key, and its result if it has ended."""
    await connection.execute("DELETE FROM catalogue.batches WHERE created_at < $1", at - _BATCH_MEMORY)
    await connection.execute(
        """
        INSERT INTO catalogue.batches (key, request_sha256, created_at) VALUES ($1, $2, $3)
        ON CONFLICT (key) DO NOTHING
        """,
        key,
        request_sha256,
        at,
    )
    row = await connection.fetchrow(
        "SELECT request_sha256, result FROM catalogue.batches WHERE key = $1", key
    )
    assert row is not None, "it was inserted above, or before"
    return row["request_sha256"], row["result"]


async def save_batch_result(connection: Connection, key: str, result: str) -> None:
    """Write the result of a batch, for repetitions with the same key."""
    await connection.execute("UPDATE catalogue.batches SET result = $2 WHERE key = $1", key, result)
