"""The catalogue's stores on real servers, migrated once and emptied for each test that asks for them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from faststream.nats import NatsBroker
from nats.js import JetStreamContext

from k1_catalogue.intake import Intake
from k1_catalogue.job_questions import JobQuestions
from k1_catalogue.maps import GenesisMaps
from k1_catalogue.migrate import migrate
from k1_catalogue.questions import Questions
from k1_contracts import streams
from k1_platform.database import Pool, open_pool
from k1_platform.objects import ObjectStore
from k1_platform.settings import MongoSettings, PostgresSettings
from tests.support.infrastructure import Infrastructure

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def migrated(provisioned: Infrastructure) -> Infrastructure:
    """Servers whose database has the schema."""
    asyncio.run(migrate(PostgresSettings()))
    return provisioned


@pytest.fixture
async def bus(migrated: Infrastructure) -> AsyncIterator[NatsBroker]:
    """The other services' end of the bus."""
    async with NatsBroker(migrated.environment["K1_NATS_URL"], logger=None) as broker:
        yield broker


@pytest.fixture
async def pool(migrated: Infrastructure) -> AsyncIterator[Pool]:
    """Connections to an empty catalogue."""
    async with await open_pool(PostgresSettings(), "test") as pool:
        await pool.execute(
            "TRUNCATE catalogue.tracks, catalogue.audit, catalogue.totals, catalogue.inbox, catalogue.outbox"
            " CASCADE"
        )
        yield pool


@pytest.fixture
async def maps(migrated: Infrastructure) -> AsyncIterator[GenesisMaps]:
    """The collection of maps."""
    maps = GenesisMaps(MongoSettings())
    yield maps
    maps.close()


@pytest.fixture
def intake(pool: Pool, maps: GenesisMaps, objects: ObjectStore) -> Intake:
    """What applies facts."""
    return Intake(pool, maps, objects)


@pytest.fixture
def questions(pool: Pool, maps: GenesisMaps, objects: ObjectStore) -> Questions:
    """Answers about tracks."""
    return Questions(pool, maps, objects)


@pytest.fixture
async def job_questions(pool: Pool, jetstream: JetStreamContext) -> JobQuestions:
    """Answers about jobs, at noon."""
    return JobQuestions(
        pool=pool,
        progress=await jetstream.key_value(streams.JOB_PROGRESS.name),
        cancels=await jetstream.key_value(streams.JOB_CANCELS.name),
        clock=lambda: NOW,
    )
