"""Migrations on a real PostgreSQL."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from k1_deploy.migrate import migrate
from k1_platform.settings import PostgresSettings
from tests.support.database import temporary_database
from tests.support.infrastructure import Infrastructure

TABLES = {"devices", "credentials", "audit", "inbox", "outbox", "migrations"}
LEFTOVERS = (
    "SELECT count(*) FROM pg_class WHERE relnamespace = 'deploy'::regnamespace AND relkind IN ('r', 'S')"
)


@pytest.fixture
def settings(infrastructure: Infrastructure) -> Iterator[PostgresSettings]:
    """A separate database."""
    with temporary_database(infrastructure.environment["K1_POSTGRES_DSN"], "k1") as settings:
        yield settings


async def tables(settings: PostgresSettings) -> set[str]:
    connection = await asyncpg.connect(settings.dsn.get_secret_value())
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'deploy'")
    await connection.close()
    return {row["tablename"] for row in rows}


async def test_up_down_up(settings: PostgresSettings) -> None:
    """Every migration can be reverted and applied again; a reverted one leaves nothing behind."""
    await migrate(settings, "up")
    assert await tables(settings) >= TABLES
    await migrate(settings, "down")
    connection = await asyncpg.connect(settings.dsn.get_secret_value())
    assert await connection.fetchval(LEFTOVERS) == 1  # the table `migrations`
    await connection.close()
    await migrate(settings, "up")
    assert await tables(settings) >= TABLES


async def test_several_at_once(settings: PostgresSettings) -> None:
    """Processes that start together may all migrate: one does it, the others find it done."""
    await asyncio.gather(*(migrate(settings, "up") for _ in range(4)))
    assert await tables(settings) >= TABLES
