"""Makes the partitions of samples and rollups ahead of time, and drops those whose rows are too old.

On a server with TimescaleDB the tables are hypertables: the server makes the chunks, and this module drops the old ones.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from k1_platform.postgres.pool import Connection, Pool
from k1_telemetry.database import PARTITIONED_TABLES, SCHEMA, PartitionedTable

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('telemetry.partitions'))"
_LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = '5s'"
_PARTITIONED: Final = """
    SELECT relname FROM pg_class WHERE relnamespace = 'telemetry'::regnamespace AND relkind = 'p'
"""
_PARTITIONS: Final = """
    SELECT child.relname AS name FROM pg_inherits
    JOIN pg_class child ON child.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent
    WHERE parent.relnamespace = 'telemetry'::regnamespace AND parent.relkind = 'p' AND parent.relname = $1
"""


def partition_start(table: PartitionedTable, at: datetime) -> datetime:
    """Return the beginning of the partition that covers a time."""
    return at - (at - _EPOCH) % table.span


def partition_name(table: PartitionedTable, start: datetime) -> str:
    """Return the name of the partition that begins at `start`."""
    return f"{table.name}_{start.astimezone(UTC):%Y%m%d%H}"


async def ensure_partitions(
    pool: Pool, since: datetime, until: datetime, tables: Iterable[PartitionedTable] = PARTITIONED_TABLES
) -> None:
    """Make the missing partitions for rows from `since` to `until`; several processes may do it at once."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_LOCK)
        await connection.execute(_LOCK_TIMEOUT)
        partitioned = {row["relname"] for row in await connection.fetch(_PARTITIONED)}
        for table in tables:
            if table.name in partitioned:
                await _ensure(connection, table, since, until)


async def drop_old_partitions(pool: Pool, before: datetime) -> list[str]:
    """Drop the partitions all of whose rows are older than `before`; return their names."""
    dropped: list[str] = []
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_LOCK)
        await connection.execute(_LOCK_TIMEOUT)
        partitioned = {row["relname"] for row in await connection.fetch(_PARTITIONED)}
        for table in PARTITIONED_TABLES:
            if table.name in partitioned:
                dropped += await _drop(connection, table, before)
            else:
                chunks = await connection.fetch(
                    "SELECT drop_chunks($1::regclass, $2::timestamptz) AS name",
                    f"{SCHEMA}.{table.name}",
                    before,
                )
                dropped += [row["name"] for row in chunks]
    return dropped


async def _ensure(connection: Connection, table: PartitionedTable, since: datetime, until: datetime) -> None:
    existing = {row["name"] for row in await connection.fetch(_PARTITIONS, table.name)}
    start = partition_start(table, since)
    while start <= until:
        name = partition_name(table, start)
        if name not in existing:
            # Attached afterwards, because CREATE TABLE ... PARTITION OF would lock out the readers of the table.
            parent, child = f"{SCHEMA}.{table.name}", f"{SCHEMA}.{name}"
            await connection.execute(f"CREATE TABLE {child} (LIKE {parent} INCLUDING ALL)")
            await connection.execute(
                f"ALTER TABLE {parent} ATTACH PARTITION {child}"
                f" FOR VALUES FROM ('{start.isoformat()}') TO ('{(start + table.span).isoformat()}')"
            )
        start += table.span


async def _drop(connection: Connection, table: PartitionedTable, before: datetime) -> list[str]:
    names = [row["name"] for row in await connection.fetch(_PARTITIONS, table.name)]
    first_kept = partition_name(table, partition_start(table, before))
    old = sorted(name for name in names if name < first_kept)
    for name in old:
        await connection.execute(f"DROP TABLE {SCHEMA}.{name}")
    return old
