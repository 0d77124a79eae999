"""Stores events in the transaction that changes the state, and publishes them afterwards.

`enqueue` writes an event into the outbox table. The relay publishes committed events in order and deletes each one when
its stream has acknowledged it. After a crash between the two an event is published again; the stream and the inboxes of
the consumers recognise it by its id.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg
from faststream.nats import NatsBroker
from opentelemetry import context, propagate

from k1_contracts.base import Contract
from k1_contracts.descriptors import StreamMessage
from k1_platform.nats.streams.publisher import PUBLISH_TIMEOUT_S, make_message
from k1_platform.postgres.pool import DATABASE_ERRORS, Connection, Pool
from k1_platform.processes.tasks import is_set_within

POLL_S: Final = 1.0
BATCH: Final = 500
B = TypeVar("B", bound=Contract)
_log = logging.getLogger(__name__)


async def enqueue(
    connection: Connection,
    schema: str,
    message: StreamMessage[B],
    body: B,
    *,
    source: str,
    key: str | None = None,
) -> None:
    """Add an event to the outbox; call it inside the transaction that changes the state.

    `source` and `key` are those of `make_message`. The trace of the caller travels with the event.
    """
    outgoing = make_message(message, body, source=source, key=key)
    headers = dict(outgoing.headers)
    propagate.inject(headers)
    await connection.execute(
        f"INSERT INTO {schema}.outbox (stream, subject, headers, body) VALUES ($1, $2, $3, $4)",  # noqa: S608  the schema is a constant of ours
        outgoing.stream,
        outgoing.subject,
        json.dumps(headers),
        outgoing.body,
    )
    await connection.execute(f"NOTIFY {schema}_outbox")


class OutboxRelay:
    """Publishes a schema's outbox; of several processes one at a time does, which keeps the order."""

    def __init__(
        self,
        pool: Pool,
        broker: NatsBroker,
        schema: str,
        is_frozen: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """`is_frozen` returns whether nothing may be published, because a backup is being made."""
        self._pool = pool
        self._broker = broker
        self._schema = schema
        self._is_frozen = is_frozen
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Relay until cancelled; a lost database or broker only delays."""
        while True:
            try:
                await self._listen_and_relay()
            except DATABASE_ERRORS as error:
                _log.warning("outbox relay pauses", extra={"reason": repr(error)})
                await asyncio.sleep(POLL_S)

    async def _listen_and_relay(self) -> None:
        async with self._pool.acquire() as connection:
            await connection.add_listener(f"{self._schema}_outbox", self._notified)
            try:
                while True:
                    while await self._relay_batch(connection) == BATCH:
                        pass
                    await is_set_within(self._wake, POLL_S)
                    self._wake.clear()
            finally:
                if not connection.is_closed():
                    await connection.remove_listener(f"{self._schema}_outbox", self._notified)

    def _notified(self, *_: object) -> None:
        self._wake.set()

    async def _relay_batch(self, connection: Connection) -> int:
        if self._is_frozen is not None and await self._is_frozen():
            return 0
        async with connection.transaction():
            lock = "SELECT pg_try_advisory_xact_lock(hashtext($1))"
            if not await connection.fetchval(lock, f"{self._schema}.outbox"):
                return 0
            rows = await connection.fetch(
                f"SELECT id, stream, subject, headers, body FROM {self._schema}.outbox"  # noqa: S608
                " ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED",
                BATCH,
            )
            outcomes = await asyncio.gather(*(self._publish(row) for row in rows), return_exceptions=True)
            sent = [
                row["id"] for row, outcome in zip(rows, outcomes, strict=True) if not _failed(row, outcome)
            ]
            await connection.execute(f"DELETE FROM {self._schema}.outbox WHERE id = ANY($1)", sent)  # noqa: S608
            return len(sent)

    async def _publish(self, row: asyncpg.Record) -> None:
        headers: dict[str, str] = json.loads(row["headers"])
        token = context.attach(propagate.extract(headers))
        try:
            await self._broker.publish(
                row["body"],
                row["subject"],
                headers=headers,
                stream=row["stream"],
                timeout=PUBLISH_TIMEOUT_S,
            )
        finally:
            context.detach(token)


def _failed(row: asyncpg.Record, outcome: BaseException | None) -> bool:
    if outcome is not None:
        _log.warning("event not published yet", extra={"subject": row["subject"], "reason": repr(outcome)})
    return outcome is not None
