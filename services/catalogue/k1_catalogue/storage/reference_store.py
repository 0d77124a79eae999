"""Reads from the tables which objects are in use: by tracks, versions, deployments and links.

The view `object_references` names every use. A track uses its audio, a version its artefacts, a deployment its bundle,
a link the object that it serves.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from k1_catalogue.storage.cleanup_plan import Usage
from k1_platform.postgres.pool import Connection


async def keys_only_of_track(connection: Connection, track_id: str) -> frozenset[str]:
    """Return the keys of the objects that this track uses and no other; they can go when the track goes.

    Call it in the transaction that removes the track, before the removal, with the track locked. Remove the objects
    after the commit. Objects that a crash leaves behind are removed by the next cleanup.
    """
    rows = await connection.fetch(
        """
        SELECT DISTINCT key FROM catalogue.object_references AS mine
        WHERE track_id = $1 AND NOT EXISTS (
            SELECT FROM catalogue.object_references AS theirs
            WHERE theirs.key = mine.key AND theirs.track_id <> $1
        )
        """,
        track_id,
    )
    return frozenset(row["key"] for row in rows)


async def read_usage(
    connection: Connection, keys: Sequence[str], now: datetime, retention: timedelta
) -> Usage:
    """Return what the tables know of these keys; an artefact can be restored for `retention` after its deletion."""
    uses = await connection.fetch(
        """
        SELECT key, min(type) AS type,
            bool_or((deleted_at IS NULL OR deleted_at > $2) AND (expires_at IS NULL OR expires_at > $3)) AS in_use,
            bool_or(deleted_at <= $2) AS expired
        FROM catalogue.object_references WHERE key = ANY ($1::text[]) GROUP BY key
        """,
        list(keys),
        now - retention,
        now,
    )
    retired = await connection.fetch(
        "SELECT key, retired_at FROM catalogue.retired_objects WHERE key = ANY ($1::text[])", list(keys)
    )
    return Usage(
        in_use={row["key"]: row["type"] for row in uses if row["in_use"]},
        expired=frozenset(row["key"] for row in uses if row["expired"] and not row["in_use"]),
        retired={row["key"]: row["retired_at"] for row in retired},
    )


async def remove_expired_artefacts(
    connection: Connection, now: datetime, retention: timedelta
) -> frozenset[str]:
    """Remove the rows of the artefacts that can no longer be restored; return their keys.

    It waits for a restoration in progress, which then wins.
    """
    rows = await connection.fetch(
        "DELETE FROM catalogue.artefacts WHERE deleted_at <= $1 RETURNING key", now - retention
    )
    return frozenset(row["key"] for row in rows)


async def forget_retired(connection: Connection, keys: Sequence[str]) -> None:
    """Forget when these objects were retired, because they are removed."""
    await connection.execute("DELETE FROM catalogue.retired_objects WHERE key = ANY ($1::text[])", list(keys))
