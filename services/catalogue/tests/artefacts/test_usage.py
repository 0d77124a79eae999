"""Tests the cleanup of the store, its usage, and the alert when it fills."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from k1_catalogue.artefacts.deletions import ArtefactDeletions
from k1_catalogue.artefacts.links import LinkQueries
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.storage.queries import StorageQueries
from k1_catalogue.tracks.artefact_store import NewArtefact, replace_artefacts
from k1_contracts.actors import Actor
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.storage import (
    CleanUpStorage,
    CopyLink,
    DeleteArtefact,
    GetStorageUsage,
    StorageAlertChanged,
)
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool, session_lock
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.artefacts.conftest import code, deploy, refs
from services.catalogue.tests.conftest import Clock
from services.catalogue.tests.song_samples import analyse


async def test_cleanup(
    *,
    pool: Pool,
    job_events: JobEventHandlers,
    objects: ObjectStore,
    deletions: ArtefactDeletions,
    links: LinkQueries,
    storage: StorageQueries,
    clock: Clock,
) -> None:
    """Deleted, replaced and orphaned objects go when their time is over; what anything refers to stays."""
    song = await analyse(job_events, objects)
    named = await refs(pool, song)
    await objects.put_bytes("audio/orphan/source.mp3", b"1" * 100, "audio/mpeg")
    await objects.put_bytes(f"graphs/{'c' * 64}/bundle.k1b", b"2" * 100, "application/cbor")
    await objects.put_bytes("elsewhere/file", b"3", "text/plain")
    for key in (f"uploads/{new_id('upl')}/part", f"uploads/{new_id('trk')}/expected"):  # of open uploads
        await objects.put_bytes(key, b"4", "application/octet-stream")
    await deploy(pool, song, "failed")
    old = [
        await song.artefact(objects, "preview", f"{name}.png", name.encode()) for name in ("linked", "plain")
    ]
    async with pool.acquire() as connection, connection.transaction():
        new = [NewArtefact(each, None) for each in old]
        await replace_artefacts(connection, song.track_id, 1, new, clock.now)
    target = DeleteArtefact(track_id=song.track_id, version=1, artefact_id=old[0].id)
    await links.create(CopyLink(**target.model_dump(), expires_in=30 * 86_400))
    async with pool.acquire() as connection, connection.transaction():
        await replace_artefacts(connection, song.track_id, 1, [], clock.now, outdated=["preview"])
    await deletions.delete(named["metrics"])

    async def removed_after(days: float) -> dict[str, str]:
        clock.forward(timedelta(days=days))
        dry = await storage.clean_up(CleanUpStorage())
        usage = await storage.get_usage(GetStorageUsage())
        assert (usage.reclaimable_objects, usage.reclaimable_bytes) == (dry.objects, dry.bytes)
        done = await storage.clean_up(CleanUpStorage(dry_run=False))
        assert (dry.removed, dry.bytes) == (done.removed, done.bytes)
        for each in done.removed:
            assert not await objects.exists(each.key)
        return {each.key.rpartition("/")[2]: each.reason for each in done.removed}

    assert await removed_after(0.5) == {}
    assert await removed_after(1) == {"source.mp3": "orphan"}
    assert await removed_after(7) == {"plain.png": "replaced"}
    # The deletion is over, and so is the link.
    assert await removed_after(23) == {"phase2b_metrics.json": "deleted", "linked.png": "replaced"}
    assert await removed_after(100) == {}
    left = {each.key.rpartition("/")[2] async for batch in objects.batches("") for each in batch}
    assert left == {"track.genesis.json", "bundle.k1b", "file", "part", "expected"}
    assert await pool.fetchval("SELECT count(*) FROM catalogue.retired_objects") == 0


async def test_usage_and_alert(
    pool: Pool, job_events: JobEventHandlers, objects: ObjectStore, storage: StorageQueries, clock: Clock
) -> None:
    """The sum of the types is what is used; at 80 % of the quota there is an alert that says what to do."""
    song = await analyse(job_events, objects)
    usage = await storage.get_usage(GetStorageUsage())
    assert usage.alert is None or usage.used_bytes > 40_000
    audio = song.uploaded().audio.key
    await objects.put_bytes(audio, b"1" * 45_000, "audio/mpeg")
    clock.forward(timedelta(seconds=11))
    usage = await storage.get_usage(GetStorageUsage())
    by_type = {each.type: each.bytes for each in usage.by_type}
    assert (by_type["audio"], usage.used_bytes) == (45_000, sum(by_type.values()))
    assert usage.used_ratio == usage.used_bytes / 50_000
    assert usage.alert is not None
    assert "k1 storage cleanup" in usage.alert.message
    assert {each.type for each in usage.top_artefacts} == {"genesis_map", "metrics"}


async def test_the_alert_is_raised_once_for_each_crossing(
    pool: Pool, objects: ObjectStore, storage: StorageQueries, clock: Clock
) -> None:
    """It ends below 75 %, so a store that stays near 80 % raises it once, also at a process that has just started."""

    async def states_at(size: int, asking: StorageQueries) -> tuple[bool, list[str]]:
        await objects.put_bytes("audio/trk_1/source.mp3", b"1" * size, "audio/mpeg")
        clock.forward(timedelta(seconds=11))
        with acting_as(Actor(kind="user", id="usr_1", name="Ann", role="viewer")):
            usage = await asking.get_usage(GetStorageUsage())
        rows = await pool.fetch(
            "SELECT headers, body FROM catalogue.outbox WHERE subject = 'storage.alert' ORDER BY id"
        )
        assert not any("ce-actor" in json.loads(row["headers"]) for row in rows)
        events = [StorageAlertChanged.model_validate_json(row["body"]) for row in rows]
        assert len({json.loads(row["headers"])["ce-id"] for row in rows}) == len(rows)
        return usage.alert is not None, [event.state for event in events]

    other = replace(storage)
    seen = [
        await states_at(size, asking)
        for size, asking in (
            (39_999, storage),
            (40_000, storage),
            (45_000, other),
            (37_500, storage),
            (40_000, other),
            (37_499, other),
            (39_999, storage),
            (41_000, storage),
        )
    ]
    raised, cleared = "raised", "cleared"
    assert seen == [
        (False, []),
        *[(True, [raised])] * 4,
        *[(False, [raised, cleared])] * 2,
        (True, [raised, cleared, raised]),
    ]


async def test_one_cleanup_at_a_time(pool: Pool, storage: StorageQueries) -> None:
    """While one process cleans up, another is refused; a dry run is not."""
    async with session_lock(pool, "catalogue.cleanup") as held:
        assert held
        with pytest.raises(QueryError) as error:
            await storage.clean_up(CleanUpStorage(dry_run=False))
        assert code(error) == "cleanup_running"
        await storage.clean_up(CleanUpStorage())
    await storage.clean_up(CleanUpStorage(dry_run=False))
    assert await pool.fetchval("SELECT actor FROM catalogue.cleanups") == "service:catalogue"
