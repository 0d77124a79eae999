"""Fixtures: the stores of deploy on real servers, migrated once and emptied for each test that uses them."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from faststream.nats import NatsBroker

from k1_deploy.migrate import migrate
from k1_platform.nats.bus.client import broker_options
from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.settings import NatsSettings, PostgresSettings
from tests.support.database import empty_tables, temporary_database
from tests.support.infrastructure import Infrastructure


@pytest.fixture(scope="session")
def database(provisioned: Infrastructure) -> Iterator[PostgresSettings]:
    """A separate database, which these tests may empty."""
    with temporary_database(provisioned.environment["K1_POSTGRES_DSN"], "deploy", migrate) as settings:
        yield settings


@pytest.fixture(scope="session")
def migrated(provisioned: Infrastructure) -> Infrastructure:
    """Servers whose database has the schema, for the service as a process."""
    asyncio.run(migrate(PostgresSettings()))
    return provisioned


@pytest.fixture
async def pool(database: PostgresSettings) -> AsyncIterator[Pool]:
    """Connections to a database in which nothing is deployed."""
    async with await open_pool(database, "test") as pool:
        await empty_tables(pool, "deploy")
        yield pool


@pytest.fixture
async def broker(provisioned: Infrastructure) -> AsyncIterator[NatsBroker]:
    """A connection of another service."""
    async with NatsBroker(**broker_options(NatsSettings()), logger=None) as broker:
        yield broker
