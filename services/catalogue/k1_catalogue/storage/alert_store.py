"""The state of the storage alert, which all processes share, and its event."""

from datetime import datetime

from k1_catalogue.database import SCHEMA
from k1_contracts.messages.catalogue.storage import STORAGE_ALERT, StorageAlertChanged
from k1_platform.nats.actors import acting_as
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import Connection


async def raise_alert(connection: Connection, at: datetime) -> datetime | None:
    """Raise the alert; return `at`, or None if it was raised before."""
    return await connection.fetchval(
        "INSERT INTO catalogue.storage_alert (since) VALUES ($1) ON CONFLICT DO NOTHING RETURNING since", at
    )


async def clear_alert(connection: Connection) -> datetime | None:
    """Clear the alert; return since when it was raised, None if it was not."""
    return await connection.fetchval("DELETE FROM catalogue.storage_alert RETURNING since")


async def alert_since(connection: Connection) -> datetime | None:
    """Return since when the alert is raised; None while it is not."""
    return await connection.fetchval("SELECT since FROM catalogue.storage_alert")


async def announce(connection: Connection, event: StorageAlertChanged) -> None:
    """Publish the change with the transaction. Whoever asked for the measurement did not cause it."""
    with acting_as(None):
        await enqueue(connection, SCHEMA, STORAGE_ALERT, event, source="catalogue")
