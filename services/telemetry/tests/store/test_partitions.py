"""Tests the migrations and the partitions on a real PostgreSQL."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.settings import PostgresSettings
from k1_telemetry.database import ROLLUPS, SAMPLES
from k1_telemetry.migrate import MIGRATIONS, migrate
from k1_telemetry.store.maintenance import StoreMaintenance
from k1_telemetry.store.metrics import StoreMetrics
from k1_telemetry.store.partitions import partition_name
from k1_telemetry.store.writer import BatchWriter
from services.telemetry.tests.store.test_store import message
from tests.support.database import temporary_database
from tests.support.infrastructure import Infrastructure

LEFTOVERS = (
    "SELECT count(*) FROM pg_class"
    " WHERE relnamespace = 'telemetry'::regnamespace AND relkind IN ('r', 'p', 'S')"
)
PARTITIONS = """
    SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
    WHERE child.relnamespace = 'telemetry'::regnamespace AND child.relkind = 'r'
"""
INSERT = """
    INSERT INTO telemetry.samples (device_id, ts, device_ts, seq, drift_ms, cpu_pct, temp_c, fps, heap_free, rssi)
    VALUES ('k1', $1, 0, 0, 0, 0, 0, 0, 0, 0)
"""
MINUTES = "SELECT * FROM telemetry.track_minutes ORDER BY track_id, bucket"
MINUTES_OF_TODAY = MINUTES.replace("ORDER", "WHERE bucket >= '2026-05-01T00:00Z' ORDER")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def settings(infrastructure: Infrastructure) -> Iterator[PostgresSettings]:
    """A separate database without tables, of an owner who has no other right, as on a managed server."""
    dsn, owner = infrastructure.environment["K1_POSTGRES_DSN"], f"owner_{uuid.uuid4().hex}"
    asyncio.run(execute(dsn, f"CREATE ROLE {owner} LOGIN PASSWORD '{owner}'"))
    try:
        with temporary_database(dsn, "telemetry") as settings:
            address = urlsplit(settings.dsn.get_secret_value())
            asyncio.run(execute(dsn, f"ALTER DATABASE {address.path[1:]} OWNER TO {owner}"))
            place = address.netloc.rpartition("@")[2]
            owned = address._replace(netloc=f"{owner}:{owner}@{place}").geturl()
            yield PostgresSettings(dsn=SecretStr(owned))
    finally:
        asyncio.run(execute(dsn, f"DROP ROLE {owner}"))


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def revise(settings: PostgresSettings, change: Callable[[Config, str], None], revision: str) -> None:
    """Bring the schema to a revision; alembic's functions run an event loop of their own."""

    def run(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS.folder))
        config.attributes |= {"connection": connection, "schema": MIGRATIONS.schema}
        change(config, revision)

    async def connect() -> None:
        address = settings.dsn.get_secret_value().replace("postgresql://", "postgresql+asyncpg://")
        engine = create_async_engine(address)
        async with engine.begin() as connection:
            await connection.run_sync(run)
        await engine.dispose()

    asyncio.run(connect())


async def partitions(pool: Pool) -> set[str]:
    return {row["relname"] for row in await pool.fetch(PARTITIONS)}


async def test_migrations_and_partitions(settings: PostgresSettings) -> None:
    """Partitions exist before their time comes and go when all their rows are too old; the schema can be reverted.

    A row that no partition takes is refused. Minutes of tracks go with their rollup, and a migration makes them of it.
    The next migration up works as the first.
    """
    await migrate(settings, "up")
    async with await open_pool(settings, "test") as pool:
        now = NOON
        maintenance = StoreMaintenance(pool, timedelta(days=1), lambda: now)
        await maintenance.run_once()
        hours = {partition_name(SAMPLES, NOON + number * HOUR) for number in (-1, 0, 1, 2)}
        days = {partition_name(rollup, NOON.replace(hour=0)) for rollup in ROLLUPS}
        assert await partitions(pool) == hours | days
        await pool.execute(INSERT, NOON - HOUR)
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(INSERT, NOON - 2 * HOUR)
        now = NOON + timedelta(days=1)
        await maintenance.run_once()
        assert partition_name(SAMPLES, NOON - HOUR) not in await partitions(pool)
        assert partition_name(SAMPLES, NOON) in await partitions(pool)
        assert await pool.fetchval("SELECT count(*) FROM telemetry.samples") == 0
        messages = [message(number, NOON) for number in range(9)]
        messages += [message(number, NOON - timedelta(hours=13)) for number in range(10, 12)]
        await BatchWriter(pool, StoreMetrics(CollectorRegistry())).write(messages)
        kept = await pool.fetch(MINUTES_OF_TODAY)
        await maintenance.run_once()
        assert await pool.fetch(MINUTES) == kept
        assert len(kept) == 2
    await asyncio.to_thread(revise, settings, command.downgrade, "0002")
    await migrate(settings, "up")
    async with await open_pool(settings, "test") as pool:
        assert await pool.fetch(MINUTES) == kept
    await migrate(settings, "down")
    async with await open_pool(settings, "test") as pool:
        assert await pool.fetchval(LEFTOVERS) == 1  # the table `migrations`
    await migrate(settings, "up")
