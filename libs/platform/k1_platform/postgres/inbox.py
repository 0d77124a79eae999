"""Exactly-once effects: a consumer records what it has handled in the transaction of the effect."""

from k1_platform.postgres.pool import Connection


async def mark_handled(connection: Connection, schema: str, consumer: str, event_id: str) -> bool:
    """True once for each event and consumer; call it inside the effect's transaction."""
    status = await connection.execute(
        f"INSERT INTO {schema}.inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",  # noqa: S608  the schema is a constant of ours
        consumer,
        event_id,
    )
    return status == "INSERT 0 1"


async def prune_inbox(connection: Connection, schema: str, days: int) -> None:
    """Drop entries older than any message that could still come again."""
    await connection.execute(
        f"DELETE FROM {schema}.inbox WHERE handled_at < now() - make_interval(days => $1)",  # noqa: S608  the schema is a constant of ours
        days,
    )
