"""Fixtures: the stores of deploy on real servers, migrated once and emptied for each test that uses them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from faststream.nats import NatsBroker
from pydantic import SecretStr

from k1_deploy.migrate import migrate
from k1_platform.nats.client import broker_options
from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.settings import NatsSettings, PostgresSettings
from tests.support.infrastructure import Infrastructure


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture(scope="session")
def database(provisioned: Infrastructure) -> Iterator[PostgresSettings]:
    """A separate database, which these tests may empty."""
    dsn = provisioned.environment["K1_POSTGRES_DSN"]
    name = f"deploy_{uuid.uuid4().hex}"
    asyncio.run(execute(dsn, f"CREATE DATABASE {name}"))
    settings = PostgresSettings(dsn=SecretStr(f"{dsn.rpartition('/')[0]}/{name}"))
    asyncio.run(migrate(settings))
    yield settings
    asyncio.run(execute(dsn, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def migrated(provisioned: Infrastructure) -> Infrastructure:
    """Servers whose database has the schema, for the service as a process."""
    asyncio.run(migrate(PostgresSettings()))
    return provisioned


@pytest.fixture
async def pool(database: PostgresSettings) -> AsyncIterator[Pool]:
    """Connections to a database in which nothing is deployed."""
    async with await open_pool(database, "test") as pool:
        tables = await pool.fetch(
            "SELECT format('deploy.%I', tablename) AS name FROM pg_tables"
            " WHERE schemaname = 'deploy' AND tablename <> 'migrations'"
        )
        await pool.execute(f"TRUNCATE {', '.join(row['name'] for row in tables)} CASCADE")
        yield pool


@pytest.fixture
async def broker(provisioned: Infrastructure) -> AsyncIterator[NatsBroker]:
    """A connection of another service."""
    async with NatsBroker(**broker_options(NatsSettings()), logger=None) as broker:
        yield broker
