"""Waits until everything that was accepted before a backup has reached the databases: events are published and handled."""

import asyncio
import time

import asyncpg
from nats.aio.client import Client

from k1_cli.errors import CommandError
from k1_contracts.durables import DURABLES
from k1_contracts.streams import EVENTS

_PAUSE_S = 0.1
_OUTBOXES = "SELECT table_schema FROM information_schema.tables WHERE table_name = 'outbox' ORDER BY 1"


async def drain(client: Client, dsn: str, within_s: float) -> None:
    """Wait until no event waits in an outbox or for a consumer.

    Waiting analyses need not end: a restored job is delivered again and is answered from what is stored.

    Raises:
        CommandError: it did not end in time; the message names what waits.
    """
    deadline = time.monotonic() + within_s
    connection = await asyncpg.connect(dsn)
    try:
        while waiting := {**await _outboxes(connection), **await _consumers(client)}:
            if time.monotonic() > deadline:
                named = ", ".join(f"{name}: {count}" for name, count in waiting.items())
                raise CommandError(
                    f"events still wait after {within_s:.0f} s ({named}), so no backup was made; start the services "
                    "that handle them, or wait longer with --wait"
                )
            await asyncio.sleep(_PAUSE_S)
    finally:
        await connection.close()


async def _outboxes(connection: asyncpg.Connection) -> dict[str, int]:
    """Return how many events each outbox holds, without empty ones."""
    schemas = [row["table_schema"] for row in await connection.fetch(_OUTBOXES)]
    counts = {
        f"outbox of {schema}": int(await connection.fetchval(f'SELECT count(*) FROM "{schema}".outbox') or 0)  # noqa: S608
        for schema in schemas
    }
    return {name: count for name, count in counts.items() if count}


async def _consumers(client: Client) -> dict[str, int]:
    """Return how many events each durable has not acknowledged, without those that have acknowledged all."""
    jetstream = client.jetstream(timeout=30)
    infos = [
        await jetstream.consumer_info(durable.stream, durable.name)
        for durable in DURABLES
        if durable.stream == EVENTS
    ]
    counts = {
        f"consumer {info.name}": (info.num_pending or 0) + (info.num_ack_pending or 0) for info in infos
    }
    return {name: count for name, count in counts.items() if count}
