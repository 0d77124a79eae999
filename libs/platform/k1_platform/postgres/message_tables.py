"""Defines the inbox and outbox tables, for the migrations of every service with a database.

A migration runs at each start, so this module imports nothing.
"""

MESSAGE_TABLES = ("outbox", "inbox")


def message_table_statements(schema: str) -> tuple[str, ...]:
    """Return the statements that create the inbox and outbox tables of a schema.

    Applied migrations call this function: never change the statements, but write a new migration.
    """
    return (
        f"""
        CREATE TABLE {schema}.inbox (
            consumer text NOT NULL,
            event_id text NOT NULL,
            handled_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (consumer, event_id)
        )
        """,
        f"CREATE INDEX inbox_handled ON {schema}.inbox USING brin (handled_at)",
        f"""
        CREATE TABLE {schema}.outbox (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            stream text NOT NULL,
            subject text NOT NULL,
            headers jsonb NOT NULL,
            body bytea NOT NULL
        )
        """,
    )
