"""Fixtures: the stores of the catalogue on real servers, migrated once and emptied for each test that uses them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from faststream.nats import NatsBroker
from motor.motor_asyncio import AsyncIOMotorClient
from nats.js import JetStreamContext
from prometheus_client import CollectorRegistry

from k1_catalogue.beats.store import current_override, version_edits
from k1_catalogue.beats.version_builder import VersionBuilder
from k1_catalogue.beats.version_writer import VersionWriter
from k1_catalogue.deployments.store import newest_deployments
from k1_catalogue.edits.batch import TrackBatches
from k1_catalogue.edits.purge import Purger
from k1_catalogue.edits.track_edits import TrackEdits
from k1_catalogue.graphs.queries import GraphQueries
from k1_catalogue.graphs.show_builder import ShowBuilder
from k1_catalogue.jobs.cost import Prices
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.metrics import JobMetrics
from k1_catalogue.jobs.moves import JobMoves
from k1_catalogue.jobs.queries import JobQueries
from k1_catalogue.maps import store as map_store
from k1_catalogue.maps.store import MapStore
from k1_catalogue.migrate import migrate
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts import streams
from k1_platform.auth.signing import KeyRing, load_keys
from k1_platform.nats.bus.client import broker_options
from k1_platform.nats.streams import publisher as platform_publisher
from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.settings import MongoSettings, NatsSettings, PostgresSettings
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.graph_samples import InProcessWorker
from tests.support.bus import connected_client
from tests.support.database import empty_tables, temporary_database
from tests.support.infrastructure import Infrastructure
from tests.support.waiting import PATIENCE_S

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
PRICES = Prices(cpu_hour=0.04, gib_month=0.023, keep_months=12)


@pytest.fixture(scope="session")
def database(provisioned: Infrastructure) -> Iterator[PostgresSettings]:
    """A database for these tests only, which they may empty."""
    with temporary_database(provisioned.environment["K1_POSTGRES_DSN"], "catalogue", migrate) as settings:
        yield settings


@pytest.fixture(scope="session")
def migrated(provisioned: Infrastructure) -> Infrastructure:
    """Servers whose database has the schema, for tests that run the service as a process."""
    asyncio.run(migrate(PostgresSettings()))
    return provisioned


@pytest.fixture(scope="module")
def empty_streams(migrated: Infrastructure) -> Infrastructure:
    """Servers without stored events.

    Tests of other services publish events about tracks that were never uploaded. A catalogue would receive these events
    again and again, which slows it down.
    """
    asyncio.run(_purge_events())
    return migrated


async def _purge_events() -> None:
    async with connected_client() as client:
        await client.jetstream(timeout=PATIENCE_S).purge_stream(streams.EVENTS)


@pytest.fixture
async def bus(migrated: Infrastructure, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NatsBroker]:
    """A client of the bus, as other services use it."""
    monkeypatch.setattr(platform_publisher, "PUBLISH_TIMEOUT_S", PATIENCE_S)
    async with NatsBroker(**broker_options(NatsSettings.of(migrated.environment)), logger=None) as broker:
        yield broker


@pytest.fixture
async def pool(database: PostgresSettings) -> AsyncIterator[Pool]:
    """Connections to a database with empty tables."""
    async with await open_pool(database, "test") as pool:
        await empty_tables(pool, "catalogue")
        yield pool


@pytest.fixture
async def maps(infrastructure: Infrastructure, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MapStore]:
    """The store of maps, with long timeouts for a busy machine."""
    monkeypatch.setattr(map_store, "AsyncIOMotorClient", patient_client)
    maps = MapStore.connect(MongoSettings())
    yield maps
    maps.close()


def patient_client(url: str, **options: Any) -> AsyncIOMotorClient[dict[str, Any]]:
    """Return a client with long timeouts."""
    timeouts = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
    patient: dict[str, Any] = options | dict.fromkeys(timeouts, 1000 * PATIENCE_S)
    return AsyncIOMotorClient(url, **patient)


@pytest.fixture(scope="session")
def keys(provisioned: Infrastructure) -> KeyRing:
    """The keys that sign bundles."""
    return load_keys(Path(provisioned.environment["K1_SIGNING_KEYS"]))


@pytest.fixture
def shows(pool: Pool, objects: ObjectStore, keys: KeyRing) -> ShowBuilder:
    """The builder of impact reports and bundles."""
    return ShowBuilder(pool, objects, keys.signing)


@pytest.fixture
def job_metrics() -> CollectorRegistry:
    """The registry of the metrics of jobs."""
    return CollectorRegistry()


@pytest.fixture
def writer(pool: Pool, maps: MapStore, objects: ObjectStore, shows: ShowBuilder) -> VersionWriter:
    """The writer of versions that people make."""
    return VersionWriter(pool, maps, VersionBuilder(objects, shows))


@pytest.fixture
def job_events(
    pool: Pool, maps: MapStore, objects: ObjectStore, shows: ShowBuilder, job_metrics: CollectorRegistry
) -> JobEventHandlers:
    """The handlers of the events of uploads and analyses."""
    return JobEventHandlers(pool, maps, objects, shows, JobMetrics(job_metrics, PRICES))


@pytest.fixture
def worker(objects: ObjectStore) -> InProcessWorker:
    """A worker that runs graphs in this process."""
    return InProcessWorker(objects)


@pytest.fixture
def graphs(pool: Pool, objects: ObjectStore, shows: ShowBuilder, worker: InProcessWorker) -> GraphQueries:
    """The queries about graphs, at noon."""
    return GraphQueries(pool, objects, shows, worker.run, lambda: NOW)


@pytest.fixture
def track_queries(pool: Pool, maps: MapStore, objects: ObjectStore) -> TrackQueries:
    """The queries about tracks."""
    return TrackQueries(pool, maps, objects, newest_deployments, current_override, version_edits)


@pytest.fixture
async def job_queries(pool: Pool, jetstream: JetStreamContext) -> JobQueries:
    """The queries about jobs, at noon."""
    return JobQueries(
        pool=pool,
        progress=await jetstream.key_value(streams.JOB_PROGRESS.name),
        cancels=await jetstream.key_value(streams.JOB_CANCELS.name),
        prices=PRICES,
        max_unfinished=3,
        clock=lambda: NOW,
    )


@pytest.fixture
async def job_moves(pool: Pool, jetstream: JetStreamContext, job_queries: JobQueries) -> JobMoves:
    """The moves of jobs, at noon."""
    places = await jetstream.key_value(streams.JOB_PLACES.name)
    return JobMoves(pool, places, job_queries.get_job, lambda: NOW)


@dataclass
class Clock:
    """A clock that tests move."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, time: timedelta) -> None:
        self.now += time


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at noon."""
    return Clock()


@pytest.fixture
def edits(pool: Pool, track_queries: TrackQueries, job_queries: JobQueries, clock: Clock) -> TrackEdits:
    """The edits of tracks."""
    return TrackEdits(pool, track_queries, job_queries.request_analysis, job_queries.cancels, clock)


@pytest.fixture
def batches(edits: TrackEdits, clock: Clock) -> TrackBatches:
    """The actions on many tracks."""
    return TrackBatches(edits.pool, edits, edits.request_analysis, clock)


@pytest.fixture
def purger(pool: Pool, maps: MapStore, objects: ObjectStore, clock: Clock) -> Purger:
    """The purge of deleted tracks."""
    return Purger(pool, maps, objects, clock)
