"""Records handled events in the inbox table, so that a consumer handles each event exactly once."""

from k1_platform.postgres.pool import Connection


async def mark_handled(connection: Connection, schema: str, consumer: str, event_id: str) -> bool:
    """Record that a consumer has handled an event; return False when it was recorded before.

    Call it inside the transaction that changes the state.
    """
    status = await connection.execute(
        f"INSERT INTO {schema}.inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",  # noqa: S608  the schema is a constant of the code
        consumer,
        event_id,
    )
    return status == "INSERT 0 1"


async def prune_inbox(connection: Connection, schema: str, days: int) -> None:
    """Delete entries that are older than `days`, which must exceed the age of any message that may be delivered again."""
    await connection.execute(
        f"DELETE FROM {schema}.inbox WHERE handled_at < now() - make_interval(days => $1)",  # noqa: S608  the schema is a constant of the code
        days,
    )
