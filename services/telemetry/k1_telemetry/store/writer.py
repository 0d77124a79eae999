"""Writes batches of samples to PostgreSQL: each message exactly once, also when it is delivered again.

One transaction inserts the numbers of a batch's messages into `stored_batches`, copies the samples and updates the
rollups. A constraint refuses a batch of which a message is stored already, whichever process stored it. Then the writer
leaves out those messages and writes the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO

import asyncpg

from k1_platform.postgres.pool import Pool
from k1_platform.processes.threads import in_thread
from k1_telemetry.database import PARTITIONED_TABLES, ROLLUPS, SCHEMA, Rollup
from k1_telemetry.store.batches import at_time, insert_batch, without_stored
from k1_telemetry.store.columns import SampleMessage, to_columns
from k1_telemetry.store.copy_rows import COLUMN_NAMES, encode_rows
from k1_telemetry.store.metrics import StoreMetrics
from k1_telemetry.store.partitions import ensure_partitions, partition_name, partition_start
from k1_telemetry.store.rollups.summaries import Summaries, summarise
from k1_telemetry.store.rollups.tables import prepare_rollups, update_rollup


@dataclass(frozen=True, slots=True)
class _PreparedBatch:
    since: datetime
    until: datetime
    rows: bytes
    summaries: list[tuple[Rollup, Summaries]]


class BatchWriter:
    """Writes the batches of this process."""

    def __init__(self, pool: Pool, metrics: StoreMetrics) -> None:
        self._pool, self._metrics = pool, metrics
        self._partitions: set[str] = set()

    async def write(self, messages: Sequence[SampleMessage]) -> None:
        """Store the messages that are not stored yet.

        Raises:
            asyncpg.DataError: the database takes a value of the messages not.
            asyncpg.PostgresError, OSError, TimeoutError: the database does not work; try again.
        """
        left = _different(messages)
        self._metrics.repeated.inc(len(messages) - len(left))
        while left:
            try:
                await self._write_new(left)
            except asyncpg.ExclusionViolationError:
                new = await without_stored(self._pool, left)
                self._metrics.repeated.inc(len(left) - len(new))
                if len(new) == len(left):
                    # Alike in number and span of time only; two single messages cannot be.
                    await self._write_halves(left)
                    return
                left = new
            except (asyncpg.CheckViolationError, asyncpg.UndefinedTableError):
                self._partitions.clear()  # a partition was dropped
                raise
            else:
                self._metrics.stored.inc(sum(len(message.readings) for message in left))
                return

    async def _write_halves(self, messages: Sequence[SampleMessage]) -> None:
        middle = len(messages) // 2
        await self.write(messages[:middle])
        await self.write(messages[middle:])

    async def _write_new(self, messages: Sequence[SampleMessage]) -> None:
        # In a thread, so that the event loop goes on in the tenth of a second that a large batch takes.
        batch = await in_thread(_prepare, messages)
        await self._ensure_partitions(batch.since, batch.until)
        async with self._pool.acquire() as connection, connection.transaction():
            await insert_batch(connection, messages)
            await connection.copy_to_table(
                "samples",
                schema_name=SCHEMA,
                columns=COLUMN_NAMES,
                source=BytesIO(batch.rows),
                format="binary",
            )
            await prepare_rollups(connection)
            for rollup, summaries in batch.summaries:
                await update_rollup(connection, rollup, summaries)

    async def _ensure_partitions(self, since: datetime, until: datetime) -> None:
        needed = {
            partition_name(table, partition_start(table, at))
            for table in PARTITIONED_TABLES
            for at in _times(since, until, table.span)
        }
        if not needed <= self._partitions:
            await ensure_partitions(self._pool, since, until)
            self._partitions |= needed


def _different(messages: Sequence[SampleMessage]) -> list[SampleMessage]:
    """Return each message once: one that waits longer than the broker does is delivered again to the same batch."""
    return list({(message.sequence, message.arrived_us): message for message in messages}.values())


def _prepare(messages: Sequence[SampleMessage]) -> _PreparedBatch:
    columns = to_columns(messages)
    return _PreparedBatch(
        since=at_time(int(columns.ts_us.min())),
        until=at_time(int(columns.ts_us.max())),
        rows=encode_rows(columns),
        summaries=[(rollup, summarise(columns, rollup.step)) for rollup in ROLLUPS],
    )


def _times(since: datetime, until: datetime, span: timedelta) -> Iterator[datetime]:
    """Yield times of which one is in each partition from `since` to `until`."""
    at = since
    while at < until:
        yield at
        at += span
    yield until
