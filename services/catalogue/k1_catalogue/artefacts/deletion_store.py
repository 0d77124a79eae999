"""Marks rows of the table `artefacts` as deleted, and takes the mark away."""

from datetime import datetime
from typing import Final

from k1_platform.postgres.pool import Connection

_WITHOUT_EFFECT: Final = ("failed", "rolled_back", "cancelled")
"""Statuses of deployments after which no device runs their bundle."""


async def mark_deleted(
    connection: Connection, track_id: str, version: int, artefact_id: str, *, at: datetime, undo_sha256: str
) -> None:
    """Mark an artefact as deleted; its object stays until a cleanup."""
    await connection.execute(
        """
        UPDATE catalogue.artefacts SET deleted_at = $4, undo_sha256 = $5
        WHERE track_id = $1 AND version = $2 AND id = $3
        """,
        track_id,
        version,
        artefact_id,
        at,
        undo_sha256,
    )


async def mark_restored(connection: Connection, track_id: str, version: int, artefact_id: str) -> None:
    """Take the mark away."""
    await connection.execute(
        """
        UPDATE catalogue.artefacts SET deleted_at = NULL, undo_sha256 = NULL
        WHERE track_id = $1 AND version = $2 AND id = $3
        """,
        track_id,
        version,
        artefact_id,
    )


async def undo_hash(connection: Connection, track_id: str, version: int, artefact_id: str) -> str | None:
    """Return the hash of the token that undoes the deletion."""
    return await connection.fetchval(
        "SELECT undo_sha256 FROM catalogue.artefacts WHERE track_id = $1 AND version = $2 AND id = $3",
        track_id,
        version,
        artefact_id,
    )


async def is_deployed(connection: Connection, track_id: str, version: int) -> bool:
    """Return whether devices run this version, or are about to."""
    found = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM catalogue.deployments
            WHERE track_id = $1 AND version = $2 AND status <> ALL ($3::text[])
        )
        """,
        track_id,
        version,
        list(_WITHOUT_EFFECT),
    )
    return bool(found)
