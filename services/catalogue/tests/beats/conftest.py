"""Fixtures: a song with a graph, and what people do with its beats and its graph."""

import pytest

from k1_catalogue.beats.editor import BeatEditor
from k1_catalogue.beats.graph_versions import GraphVersions
from k1_catalogue.beats.queries import BeatQueries
from k1_catalogue.beats.version_writer import VersionWriter
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.maps.store import MapStore
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.beat_worker import BeatWorker
from services.catalogue.tests.conftest import NOW
from services.catalogue.tests.graph_samples import GRAPH
from services.catalogue.tests.song_samples import Song, analyse


@pytest.fixture
def worker(objects: ObjectStore) -> BeatWorker:
    return BeatWorker(objects)


@pytest.fixture
def editor(writer: VersionWriter, worker: BeatWorker) -> BeatEditor:
    return BeatEditor(writer, worker.apply, worker.run, lambda: NOW)


@pytest.fixture
def beats(pool: Pool, maps: MapStore) -> BeatQueries:
    return BeatQueries(pool, maps)


@pytest.fixture
async def song(job_events: JobEventHandlers, objects: ObjectStore) -> Song:
    """An analysed song with a graph."""
    return await analyse(job_events, objects, graph=GRAPH)


@pytest.fixture
def graph_versions(writer: VersionWriter, worker: BeatWorker) -> GraphVersions:
    return GraphVersions(writer, worker.run, lambda: NOW)
