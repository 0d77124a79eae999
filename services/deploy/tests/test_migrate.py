"""Migrations on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from pydantic import SecretStr

from k1_deploy.migrate import migrate
from k1_platform.settings import PostgresSettings
from services.deploy.tests.conftest import execute
from tests.support.infrastructure import Infrastructure

TABLES = {"devices", "credentials", "audit", "inbox", "outbox", "migrations"}
LEFTOVERS = (
    "SELECT count(*) FROM pg_class WHERE relnamespace = 'deploy'::regnamespace AND relkind IN ('r', 'S')"
)


@pytest.fixture
async def dsn(infrastructure: Infrastructure, unique: str) -> AsyncIterator[str]:
    """A separate database."""
    server = infrastructure.environment["K1_POSTGRES_DSN"]
    await execute(server, f"CREATE DATABASE k1_{unique}")
    yield f"{server.rpartition('/')[0]}/k1_{unique}"
    await execute(server, f"DROP DATABASE k1_{unique} WITH (FORCE)")


async def tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'deploy'")
    await connection.close()
    return {row["tablename"] for row in rows}


async def test_up_down_up(dsn: str) -> None:
    """Every migration can be reverted and applied again; a reverted one leaves nothing behind."""
    settings = PostgresSettings(dsn=SecretStr(dsn))
    await migrate(settings, "up")
    assert await tables(dsn) >= TABLES
    await migrate(settings, "down")
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval(LEFTOVERS) == 1  # the table `migrations`
    await connection.close()
    await migrate(settings, "up")
    assert await tables(dsn) >= TABLES


async def test_several_at_once(dsn: str) -> None:
    """Processes that start together may all migrate: one does it, the others find it done."""
    settings = PostgresSettings(dsn=SecretStr(dsn))
    await asyncio.gather(*(migrate(settings, "up") for _ in range(4)))
    assert await tables(dsn) >= TABLES
