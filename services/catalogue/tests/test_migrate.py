"""Tests of the migrations on a real PostgreSQL server."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from k1_catalogue.migrate import migrate
from k1_platform.settings import PostgresSettings
from tests.support.database import temporary_database
from tests.support.infrastructure import Infrastructure

TABLES = {
    "tracks",
    "versions",
    "jobs",
    "artefacts",
    "graphs",
    "deployments",
    "track_events",
    "track_changes",
    "undo_tokens",
    "batches",
    "totals",
    "inbox",
    "outbox",
    "migrations",
}


@pytest.fixture
def settings(infrastructure: Infrastructure) -> Iterator[PostgresSettings]:
    """A database for one test."""
    with temporary_database(infrastructure.environment["K1_POSTGRES_DSN"], "k1") as settings:
        yield settings


async def tables(settings: PostgresSettings) -> set[str]:
    connection = await asyncpg.connect(settings.dsn.get_secret_value())
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'catalogue'")
    await connection.close()
    return {row["tablename"] for row in rows}


async def functions(settings: PostgresSettings) -> int:
    connection = await asyncpg.connect(settings.dsn.get_secret_value())
    query = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'catalogue'::regnamespace"
    number = await connection.fetchval(query)
    await connection.close()
    return number


async def test_up_down_up(settings: PostgresSettings) -> None:
    """Every migration can be reverted and repeated; reverting leaves nothing behind."""
    await migrate(settings, "up")
    assert await tables(settings) >= TABLES
    await migrate(settings, "down")
    assert (await tables(settings), await functions(settings)) == ({"migrations"}, 0)
    await migrate(settings, "up")
    assert await tables(settings) >= TABLES


async def test_concurrent_migrations(settings: PostgresSettings) -> None:
    """Processes that start together may all migrate: one does it, the others find it done."""
    await asyncio.gather(*(migrate(settings, "up") for _ in range(4)))
    await migrate(settings, "up")
    assert await tables(settings) >= TABLES
