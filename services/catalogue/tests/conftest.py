"""The catalogue's stores on real servers, migrated once and emptied for each test that asks for them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import nats
import pytest
from faststream.nats import NatsBroker
from motor.motor_asyncio import AsyncIOMotorClient
from nats.js import JetStreamContext
from pydantic import SecretStr

from k1_catalogue import maps as catalogue_maps
from k1_catalogue.intake import Intake
from k1_catalogue.job_questions import JobQuestions
from k1_catalogue.maps import GenesisMaps
from k1_catalogue.migrate import migrate
from k1_catalogue.questions import Questions
from k1_catalogue.show_files import ShowFiles
from k1_contracts import streams
from k1_platform.auth.signing import KeyRing, load_keys
from k1_platform.nats import client as platform_broker
from k1_platform.nats.client import broker_options
from k1_platform.nats.connection import connect_options
from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.settings import MongoSettings, NatsSettings, PostgresSettings
from k1_platform.storage.objects import ObjectStore
from tests.support.infrastructure import Infrastructure

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
PATIENCE_S = 120.0
"""For what takes a moment, however busy the machine."""


@pytest.fixture(scope="session")
def database(provisioned: Infrastructure) -> Iterator[PostgresSettings]:
    """A database of these tests alone, which they may empty."""
    dsn = provisioned.environment["K1_POSTGRES_DSN"]
    name = f"catalogue_{uuid.uuid4().hex}"
    asyncio.run(execute(dsn, f"CREATE DATABASE {name}"))
    settings = PostgresSettings(dsn=SecretStr(f"{dsn.rpartition('/')[0]}/{name}"))
    asyncio.run(migrate(settings))
    yield settings
    asyncio.run(drop_database(dsn, name))


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def drop_database(dsn: str, name: str) -> None:
    """Also where the server has not noticed yet that the last connection to it has ended."""
    await execute(dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated(provisioned: Infrastructure) -> Infrastructure:
    """Servers whose database has the schema, for services as processes."""
    asyncio.run(migrate(PostgresSettings()))
    return provisioned


@pytest.fixture(scope="module")
def nothing_told(migrated: Infrastructure) -> Infrastructure:
    """Servers on which a catalogue has nothing to catch up with.

    Tests of other services tell facts of tracks that nobody uploaded: a catalogue that met them would have its hands
    full of messages that come again and again.
    """
    asyncio.run(_forget_facts())
    return migrated


async def _forget_facts() -> None:
    client = await nats.connect(**connect_options(NatsSettings()))
    await client.jetstream(timeout=PATIENCE_S).purge_stream(streams.EVENTS)
    await client.close()


@pytest.fixture
async def bus(migrated: Infrastructure, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NatsBroker]:
    """The other services' end of the bus."""
    monkeypatch.setattr(platform_broker, "PUBLISH_TIMEOUT_S", PATIENCE_S)
    async with NatsBroker(**broker_options(NatsSettings.of(migrated.environment)), logger=None) as broker:
        yield broker


@pytest.fixture
async def pool(database: PostgresSettings) -> AsyncIterator[Pool]:
    """Connections to an empty catalogue."""
    async with await open_pool(database, "test") as pool:
        await pool.execute(
            "TRUNCATE catalogue.tracks, catalogue.audit, catalogue.totals, catalogue.inbox, catalogue.outbox"
            " CASCADE"
        )
        yield pool


@pytest.fixture
async def maps(infrastructure: Infrastructure, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GenesisMaps]:
    """The collection of maps, on a server that a busy machine may hold up."""
    monkeypatch.setattr(catalogue_maps, "AsyncIOMotorClient", patient_client)
    maps = GenesisMaps(MongoSettings())
    yield maps
    maps.close()


def patient_client(url: str, **options: Any) -> AsyncIOMotorClient[dict[str, Any]]:
    timeouts = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
    return AsyncIOMotorClient(url, **options | dict.fromkeys(timeouts, 1000 * PATIENCE_S))


@pytest.fixture(scope="session")
def keys(provisioned: Infrastructure) -> KeyRing:
    """The keys that sign bundles."""
    return load_keys(Path(provisioned.environment["K1_SIGNING_KEYS"]))


@pytest.fixture
def shows(pool: Pool, objects: ObjectStore, keys: KeyRing) -> ShowFiles:
    """What makes impacts and bundles."""
    return ShowFiles(pool, objects, keys.signing)


@pytest.fixture
def intake(pool: Pool, maps: GenesisMaps, objects: ObjectStore, shows: ShowFiles) -> Intake:
    """What applies facts."""
    return Intake(pool, maps, objects, shows)


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
