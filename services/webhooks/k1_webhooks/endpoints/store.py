"""The table `webhooks`: one function for each read or change."""

from typing import Final

import asyncpg

from k1_contracts.messages.webhooks import Webhook
from k1_platform.postgres.pool import Connection

_COLUMNS: Final = "id, url, event_types, description, enabled, disabled_reason, created_at, updated_at"


async def insert_webhook(connection: Connection, webhook: Webhook) -> None:
    """Add a webhook."""
    await connection.execute(
        "INSERT INTO webhooks.webhooks (id, url, event_types, description, created_at, updated_at)"
        " VALUES ($1, $2, $3, $4, $5, $5)",
        webhook.id,
        webhook.url,
        webhook.event_types,
        webhook.description,
        webhook.created_at,
    )


async def find_webhook(connection: Connection, webhook_id: str, *, lock: bool = False) -> Webhook | None:
    """Return a webhook; `lock` keeps other transactions from changing it."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM webhooks.webhooks WHERE id = $1 {'FOR UPDATE' if lock else ''}",  # noqa: S608
        webhook_id,
    )
    return _webhook(row) if row else None


async def list_webhooks(connection: Connection, after: str, limit: int) -> tuple[int, list[Webhook]]:
    """Return how many webhooks there are, and those after an id, oldest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM webhooks.webhooks WHERE id > $1 ORDER BY id LIMIT $2",  # noqa: S608
        after,
        limit,
    )
    return await count_webhooks(connection), [_webhook(row) for row in rows]


async def count_webhooks(connection: Connection) -> int:
    """Return how many webhooks there are."""
    rows = await connection.fetch("SELECT count(*) AS n FROM webhooks.webhooks")
    return rows[0]["n"]


async def enabled_webhooks(connection: Connection) -> list[Webhook]:
    """Return the webhooks that get events."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM webhooks.webhooks WHERE enabled")  # noqa: S608
    return [_webhook(row) for row in rows]


async def save_webhook(connection: Connection, webhook: Webhook) -> None:
    """Write the fields that can change."""
    await connection.execute(
        """
        UPDATE webhooks.webhooks
        SET url = $2, event_types = $3, description = $4, enabled = $5, disabled_reason = $6, updated_at = $7
        WHERE id = $1
        """,
        webhook.id,
        webhook.url,
        webhook.event_types,
        webhook.description,
        webhook.enabled,
        webhook.disabled_reason,
        webhook.updated_at,
    )


async def next_secret_number(connection: Connection, webhook_id: str) -> int | None:
    """Count a rotation of the secret and return the new number; None if there is no such webhook."""
    row = await connection.fetchrow(
        "UPDATE webhooks.webhooks SET secret_number = secret_number + 1, updated_at = now()"
        " WHERE id = $1 RETURNING secret_number",
        webhook_id,
    )
    return row["secret_number"] if row else None


async def delete_webhook(connection: Connection, webhook_id: str) -> bool:
    """Remove a webhook with its deliveries; return False if there is none."""
    return await connection.execute("DELETE FROM webhooks.webhooks WHERE id = $1", webhook_id) == "DELETE 1"


def _webhook(row: asyncpg.Record) -> Webhook:
    return Webhook.model_validate(dict(row))
