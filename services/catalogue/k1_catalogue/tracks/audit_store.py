"""Writes the events of tracks: who changed what, and when. They are also the log of a job.

Triggers keep the changed columns of every row of tracks, versions and jobs until the end of the transaction. An entry
describes the changes of its track that came before it in its transaction. What no entry describes becomes an event with
the action `changed` at the commit, so that the events are always complete.
"""

import json
from datetime import datetime
from typing import Final

import asyncpg

from k1_catalogue.database import without_nul
from k1_catalogue.history.changes import RowChange, merge_changes
from k1_contracts.actors import Actor, service_actor
from k1_contracts.base import rfc3339
from k1_contracts.messages.catalogue.beats import BeatAuthor
from k1_platform.nats.actors import current_actor
from k1_platform.postgres.pool import Connection

_MAX_LOG_LINES: Final = 20


async def write_audit_entry(
    connection: Connection,
    track_id: str,
    *,
    at: datetime,
    action: str,
    actor: str = "catalogue",
    detail: str | None = None,
    job_id: str | None = None,
) -> None:
    """Write the event of the changes that this transaction has made to a track, and to the log of a job if there is one.

    `actor` names the service that acts where no person does.
    """
    before, after = merge_changes(await _take_changes(connection, track_id))
    await connection.execute(
        """
        INSERT INTO catalogue.track_events (track_id, job_id, at, actor, action, detail, before, after)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        track_id,
        job_id,
        at,
        actor_json(current_actor(), actor),
        action,
        without_nul(detail) if detail else None,
        json.dumps(before) if before else None,
        json.dumps(after) if after else None,
    )


def current_author() -> BeatAuthor:
    """Return the author of what is done now."""
    actor = current_actor()
    if actor is None:
        return BeatAuthor(kind="service", id="catalogue", name="service:catalogue")
    return BeatAuthor(kind=actor.kind, id=actor.id, name=actor.name)


async def _take_changes(connection: Connection, track_id: str) -> list[RowChange]:
    """Return the changes of a track that no event describes yet, in their order."""
    rows = await connection.fetch(
        """
        DELETE FROM catalogue.track_changes WHERE transaction = pg_current_xact_id() AND track_id = $1
        RETURNING id, entity, key, before, after
        """,
        track_id,
    )
    return [
        RowChange(
            row["entity"],
            row["key"],
            json.loads(row["before"]) if row["before"] else None,
            json.loads(row["after"]) if row["after"] else None,
        )
        for row in sorted(rows, key=lambda row: row["id"])
    ]


def actor_json(actor: Actor | None, service: str) -> str:
    """Return the actor of an event: the person who acts, or else the service."""
    acting = actor or service_actor(service)
    return acting.model_dump_json(include={"kind", "id", "name", "address"}, exclude_none=True)


async def read_job_log(connection: Connection, job_id: str) -> list[str]:
    """Return the last lines of a job's log, oldest first."""
    rows = await connection.fetch(
        "SELECT at, actor ->> 'name' AS name, action, detail FROM catalogue.track_events"
        " WHERE job_id = $1 ORDER BY id DESC LIMIT $2",
        job_id,
        _MAX_LOG_LINES,
    )
    return [_log_line(row) for row in reversed(rows)]


def _log_line(row: asyncpg.Record) -> str:
    line = f"{rfc3339(row['at'])} {row['action']} by {row['name']}"
    return f"{line}: {row['detail']}" if row["detail"] else line
