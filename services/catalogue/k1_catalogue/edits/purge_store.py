"""Finds the deleted tracks that are due for their purge and what only they refer to, and removes their rows."""

import json
from dataclasses import dataclass
from datetime import datetime

from k1_catalogue.history.store import PURGED
from k1_catalogue.tracks.audit_store import actor_json
from k1_contracts.messages.deploy.deployments import ENDED
from k1_contracts.tracks import AudioRef
from k1_platform.nats.actors import current_actor
from k1_platform.postgres.pool import Connection


@dataclass(frozen=True, slots=True)
class DueTrack:
    """A deleted track that is to be removed for good."""

    id: str
    title: str
    deleted_at: datetime
    is_interrupted: bool
    """Whether its purge has begun and did not end."""


async def due_tracks(connection: Connection, deleted_before: datetime, limit: int) -> list[DueTrack]:
    """Return the tracks that were deleted before a time, oldest first, but those with a deployment that still runs."""
    rows = await connection.fetch(
        """
        SELECT id, title, deleted_at, purge_started_at IS NOT NULL FROM catalogue.tracks AS t
        WHERE deleted_at IS NOT NULL AND deleted_at < $1 AND NOT EXISTS (
            SELECT 1 FROM catalogue.deployments AS d WHERE d.track_id = t.id AND d.status <> ALL($2::text[])
        )
        ORDER BY deleted_at LIMIT $3
        """,
        deleted_before,
        sorted(ENDED),
        limit,
    )
    return [DueTrack(*row) for row in rows]


async def start_purge(
    connection: Connection, track_id: str, deleted_before: datetime, at: datetime
) -> AudioRef | None:
    """Mark a track so that nobody can restore it any more; return its audio, None if it is not due now."""
    audio: str | None = await connection.fetchval(
        """
        UPDATE catalogue.tracks SET purge_started_at = coalesce(purge_started_at, $3)
        WHERE id = $1 AND deleted_at < $2 RETURNING audio
        """,
        track_id,
        deleted_before,
        at,
    )
    return None if audio is None else AudioRef.model_validate_json(audio)


async def own_keys(connection: Connection, track_id: str) -> list[str]:
    """Return the keys of the objects that only this track refers to: audio, artefacts, deployed bundles, links."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT mine.key FROM catalogue.object_references AS mine
        WHERE mine.track_id = $1 AND NOT EXISTS (
            SELECT 1 FROM catalogue.object_references AS other WHERE other.key = mine.key AND other.track_id <> $1
        )
        ORDER BY 1
        """,
        track_id,
    )
    return [row["key"] for row in rows]


async def remove_rows(connection: Connection, track_id: str, at: datetime) -> None:
    """Remove a track with everything that belongs to it and its events; one event remains and says so."""
    await connection.execute("SELECT set_config('catalogue.purged_track', $1, true)", track_id)
    await connection.execute("DELETE FROM catalogue.tracks WHERE id = $1", track_id)
    await connection.execute("DELETE FROM catalogue.track_changes WHERE track_id = $1", track_id)
    await connection.execute("DELETE FROM catalogue.track_events WHERE track_id = $1", track_id)
    await connection.execute(
        "INSERT INTO catalogue.track_events (track_id, at, actor, action, after) VALUES ($1, $2, $3, $4, $5)",
        track_id,
        at,
        actor_json(current_actor(), "catalogue"),
        PURGED,
        json.dumps({"track": None}),
    )
