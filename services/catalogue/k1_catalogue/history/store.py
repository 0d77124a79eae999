"""The table `track_events`: reads the events of a track, and its rows as they were."""

import json
from datetime import datetime
from typing import Any

import asyncpg

from k1_catalogue.history.changes import TrackRows, replay, to_public
from k1_contracts.messages.catalogue.track_history import TrackEvent
from k1_platform.postgres.pool import Connection

PURGED = "purged"
"""The action of the one event that stays of a purged track."""


async def read_events(
    connection: Connection, track_id: str, limit: int, before_id: int | None
) -> list[TrackEvent]:
    """Return the newest events of a track that are older than `before_id`, newest first."""
    rows = await connection.fetch(
        """
        SELECT id, at, recorded_at, actor, action, before, after, job_id, detail FROM catalogue.track_events
        WHERE track_id = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
        """,
        track_id,
        before_id,
        limit,
    )
    return [_event(row) for row in rows]


async def count_events(connection: Connection, track_id: str) -> int:
    """Return how many events a track has."""
    count: int | None = await connection.fetchval(
        "SELECT count(*) FROM catalogue.track_events WHERE track_id = $1", track_id
    )
    return count or 0


async def rows_at(connection: Connection, track_id: str, at: datetime | None = None) -> TrackRows:
    """Return the rows of a track as its events up to `at` say, to the millisecond; all events by default."""
    rows = await connection.fetch(
        """
        SELECT after FROM catalogue.track_events
        WHERE track_id = $1 AND ($2::timestamptz IS NULL OR date_trunc('milliseconds', recorded_at) <= $2)
            AND after IS NOT NULL
        ORDER BY id
        """,
        track_id,
        at,
    )
    return replay(json.loads(row["after"]) for row in rows)


async def history_begin(connection: Connection, track_id: str) -> datetime | None:
    """Return the time from which on the states of a track are known; None without such events."""
    return await connection.fetchval(
        "SELECT recorded_at FROM catalogue.track_events WHERE track_id = $1 AND after IS NOT NULL ORDER BY id LIMIT 1",
        track_id,
    )


async def was_purged(connection: Connection, track_id: str) -> bool:
    """Return whether a track was removed for good."""
    found: bool | None = await connection.fetchval(
        "SELECT true FROM catalogue.track_events WHERE track_id = $1 AND action = $2 LIMIT 1",
        track_id,
        PURGED,
    )
    return bool(found)


def _event(row: asyncpg.Record) -> TrackEvent:
    fields: dict[str, Any] = dict(row)
    for name in ("actor", "before", "after"):
        fields[name] = json.loads(row[name]) if row[name] else None
    return TrackEvent.model_validate(
        fields | {"before": to_public(fields["before"]), "after": to_public(fields["after"])}
    )
