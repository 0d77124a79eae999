"""Makes the parts of the service that keep artefacts, on a clock that tests move."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from k1_catalogue.artefacts.deletions import ArtefactDeletions
from k1_catalogue.artefacts.links import LinkQueries
from k1_catalogue.storage.cleanup import Cleaner
from k1_catalogue.storage.cleanup_plan import CleanupRules
from k1_catalogue.storage.queries import StorageGauges, StorageQueries
from k1_catalogue.storage.store import UsageTables
from k1_catalogue.tracks.artefact_store import artefacts_of_version
from k1_contracts.actors import Actor
from k1_contracts.messages.catalogue.storage import DeleteArtefact
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.conftest import Clock
from services.catalogue.tests.song_samples import Song

MONTH = timedelta(days=30)
ADA = Actor(kind="user", id="usr_ada", name="Ada", role="editor")


@pytest.fixture
def clock() -> Clock:
    """A clock that starts now, because the store gives objects the time of their upload."""
    return Clock(datetime.now(UTC))


@pytest.fixture
def deletions(pool: Pool, clock: Clock) -> ArtefactDeletions:
    return ArtefactDeletions(pool, clock, MONTH)


@pytest.fixture
def links(pool: Pool, objects: ObjectStore, clock: Clock) -> LinkQueries:
    return LinkQueries(pool, objects, clock)


@pytest.fixture
async def storage(pool: Pool, objects: ObjectStore, clock: Clock) -> StorageQueries:
    async for batch in objects.batches(""):  # other tests share the store
        await asyncio.gather(*(objects.delete(each.key) for each in batch))
    rules = CleanupRules(timedelta(days=1), timedelta(days=7))
    cleaner = Cleaner(objects, UsageTables(pool, MONTH), rules, clock)
    gauges = StorageGauges(CollectorRegistry())

    async def never() -> bool:
        return False

    return StorageQueries(pool, cleaner, clock, gauges, quota_bytes=50_000, disk=None, is_paused=never)


async def refs(pool: Pool, song: Song) -> dict[str, DeleteArtefact]:
    """Return what names each artefact of a song, by its type."""
    found = await artefacts_of_version(pool, song.track_id, song.version, inline=False)  # type: ignore[arg-type]
    return {
        each.artefact.type: DeleteArtefact(
            track_id=song.track_id, version=song.version, artefact_id=each.artefact.id or ""
        )
        for each in found
    }


async def deploy(pool: Pool, song: Song, status: str, bundle: str = "c" * 64) -> None:
    await pool.execute(
        """
        INSERT INTO catalogue.deployments (id, track_id, version, status, paused, bundle_sha256, total, counts,
            created_at, updated_at) VALUES ($1, $2, 1, $3, false, $4, 1, '{}', now(), now())
        """,
        f"dep_{status}",
        song.track_id,
        status,
        bundle,
    )


def code(error: "pytest.ExceptionInfo[QueryError]") -> str:
    return error.value.code
