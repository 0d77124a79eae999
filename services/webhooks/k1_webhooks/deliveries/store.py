"""The table `deliveries`: adds them, takes those that are due, and records what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import asyncpg

from k1_contracts.messages.webhooks import Delivery, DeliveryStatus
from k1_platform.postgres.pool import Connection

_COLUMNS: Final = "id, webhook_id, event_type, status, attempts, next_attempt_at, last_status, last_error, created_at, ended_at"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """An event for one webhook."""

    id: str
    webhook_id: str
    event_type: str
    body: str


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A delivery that this process may try now."""

    id: str
    webhook_id: str
    url: str
    secret_number: int
    body: str
    attempts: int
    """How many were made before."""


async def insert_deliveries(connection: Connection, deliveries: Sequence[NewDelivery]) -> None:
    """Add deliveries, due now; one that exists stays as it is."""
    await connection.executemany(
        """
        INSERT INTO webhooks.deliveries (id, webhook_id, event_type, body, next_attempt_at, created_at)
        SELECT $1, id, $3, $4, now(), now() FROM webhooks.webhooks WHERE id = $2 FOR KEY SHARE
        ON CONFLICT (id) DO NOTHING
        """,
        [(each.id, each.webhook_id, each.event_type, each.body) for each in deliveries],
    )


async def take_due(connection: Connection, limit: int, lease: timedelta) -> list[DueDelivery]:
    """Return deliveries that are due, the longest waiting first, and keep them from other processes for the lease.

    Each webhook gives at most four, so that a slow receiver does not hold up the others.
    """
    rows = await connection.fetch(
        """
        WITH ranked AS (
            SELECT id, row_number() OVER (PARTITION BY webhook_id ORDER BY next_attempt_at, id) AS place
            FROM webhooks.deliveries WHERE status = 'pending' AND next_attempt_at <= now()
        ), due AS (
            SELECT d.id FROM webhooks.deliveries AS d JOIN ranked USING (id)
            WHERE place <= 4 AND d.status = 'pending' AND d.next_attempt_at <= now()
            ORDER BY d.next_attempt_at LIMIT $1 FOR UPDATE OF d SKIP LOCKED
        )
        UPDATE webhooks.deliveries AS d SET next_attempt_at = now() + $2
        FROM due, webhooks.webhooks AS w WHERE d.id = due.id AND w.id = d.webhook_id
        RETURNING d.id, d.webhook_id, w.url, w.secret_number, d.body, d.attempts
        """,
        limit,
        lease,
    )
    return [DueDelivery(**dict(row)) for row in rows]


async def save_attempt(
    connection: Connection,
    delivery_id: str,
    *,
    status: DeliveryStatus,
    pause: timedelta | None,
    answer: int | None,
    error: str | None,
) -> None:
    """Record an attempt: the delivery has ended, or is due again after the pause."""
    await connection.execute(
        """
        UPDATE webhooks.deliveries
        SET status = $2, attempts = attempts + 1, next_attempt_at = now() + $3, last_status = $4, last_error = $5,
            ended_at = CASE WHEN $3::interval IS NULL THEN now() END
        WHERE id = $1
        """,
        delivery_id,
        status,
        pause,
        answer,
        error,
    )


async def fail_pending(connection: Connection, webhook_id: str, reason: str) -> None:
    """End the deliveries that a disabled webhook still waits for; each can be redriven."""
    await connection.execute(
        "UPDATE webhooks.deliveries SET status = 'failed', next_attempt_at = NULL, last_error = $2, ended_at = now()"
        " WHERE webhook_id = $1 AND status = 'pending'",
        webhook_id,
        reason,
    )


async def redrive(connection: Connection, delivery_id: str) -> Delivery | None:
    """Make an ended delivery due again with all its attempts before it; return None if it is pending or unknown."""
    row = await connection.fetchrow(
        f"""
        UPDATE webhooks.deliveries SET status = 'pending', attempts = 0, next_attempt_at = now(), ended_at = NULL
        WHERE id = $1 AND status <> 'pending' RETURNING {_COLUMNS}
        """,  # noqa: S608  a constant of ours
        delivery_id,
    )
    return _delivery(row) if row else None


async def find_delivery(connection: Connection, delivery_id: str) -> Delivery | None:
    """Return one delivery."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM webhooks.deliveries WHERE id = $1",  # noqa: S608
        delivery_id,
    )
    return _delivery(row) if row else None


async def list_deliveries(
    connection: Connection, webhook_id: str, status: DeliveryStatus | None, before: str, limit: int
) -> tuple[int, list[Delivery]]:
    """Return how many deliveries of a webhook have this status, and those before an id, newest first."""
    where = "webhook_id = $1 AND ($2::text IS NULL OR status = $2)"
    total = await connection.fetch(
        f"SELECT count(*) AS n FROM webhooks.deliveries WHERE {where}",  # noqa: S608
        webhook_id,
        status,
    )
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM webhooks.deliveries WHERE {where} AND id < $3"  # noqa: S608
        " ORDER BY id DESC LIMIT $4",
        webhook_id,
        status,
        before,
        limit,
    )
    return total[0]["n"], [_delivery(row) for row in rows]


async def count_by_status(connection: Connection) -> dict[str, int]:
    """Return how many deliveries have each status."""
    rows = await connection.fetch("SELECT status, count(*) AS n FROM webhooks.deliveries GROUP BY status")
    return {"pending": 0, "delivered": 0, "failed": 0} | {row["status"]: row["n"] for row in rows}


async def delete_ended(connection: Connection, older_than: timedelta) -> None:
    """Remove deliveries that ended long ago."""
    await connection.execute(
        "DELETE FROM webhooks.deliveries WHERE ended_at < now() - $1::interval", older_than
    )


def _delivery(row: asyncpg.Record) -> Delivery:
    return Delivery.model_validate(dict(row))
