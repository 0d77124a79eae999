"""Deleting and restoring artefacts, links to them, and the cleanup, on real stores."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from k1_catalogue.artefacts.deletions import ArtefactDeletions
from k1_catalogue.artefacts.links import LinkQueries
from k1_catalogue.artefacts.media import MediaQueries
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.storage.cleanup import Cleaner
from k1_catalogue.storage.cleanup_plan import CleanupRules
from k1_catalogue.storage.queries import StorageGauges, StorageQueries
from k1_catalogue.storage.reference_store import keys_only_of_track
from k1_catalogue.storage.store import UsageTables
from k1_catalogue.tracks.artefact_store import NewArtefact, artefacts_of_version, replace_artefacts
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts.actors import Actor
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.media import AudioCopied, CopyAudio, GetAudio, GetWaveform
from k1_contracts.messages.catalogue.storage import (
    CleanUpStorage,
    CopyLink,
    DeleteArtefact,
    GetStorageUsage,
    ListLinks,
    OpenLink,
    RestoreArtefact,
    RevokeLink,
    StorageAlertChanged,
)
from k1_contracts.messages.catalogue.tracks import GetVersion
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool, session_lock
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.song_samples import Song, analyse, message, upload

MONTH = timedelta(days=30)
ADA = Actor(kind="user", id="usr_ada", name="Ada", role="editor")
BOB = Actor(kind="user", id="usr_bob", name="Bob", role="editor")
ADMIN = Actor(kind="user", id="usr_adm", name="Admin", role="admin")


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


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


async def test_delete_undo_restore(
    *,
    pool: Pool,
    job_events: JobEventHandlers,
    objects: ObjectStore,
    deletions: ArtefactDeletions,
    track_queries: TrackQueries,
    clock: Clock,
) -> None:
    """A token undoes for 30 seconds; without it an artefact can be restored for 30 days; all of it is audited."""
    song = await analyse(job_events, objects)
    target = (await refs(pool, song))["metrics"]
    with acting_as(ADA):
        deleted = await deletions.delete(target)
    assert deleted.expires_at == clock.now + timedelta(seconds=30)
    listed = await track_queries.list_artefacts(GetVersion(track_id=song.track_id, version=1))
    [gone] = [each for each in listed.artefacts if each.type == "metrics"]
    assert (gone.status, gone.url, gone.inline_json, gone.deleted_at) == ("deleted", None, None, clock.now)
    assert "metrics" not in await refs(pool, song)
    with pytest.raises(QueryError) as error:
        await deletions.delete(target)
    assert code(error) == "artefact_not_found"
    wrong = RestoreArtefact(**target.model_dump(), undo_token="x" * 43)
    right = RestoreArtefact(**target.model_dump(), undo_token=deleted.undo_token)
    clock.now += timedelta(seconds=30)
    with pytest.raises(QueryError) as error:
        await deletions.restore(wrong)
    assert code(error) == "undo_expired"
    assert (await deletions.restore(right)).artefact.status == "present"
    assert "metrics" in await refs(pool, song)

    again = await deletions.delete(target)
    late = RestoreArtefact(**target.model_dump(), undo_token=again.undo_token)
    clock.now += timedelta(seconds=31)
    with pytest.raises(QueryError) as error:
        await deletions.restore(late)
    assert code(error) == "undo_expired"
    await deletions.restore(RestoreArtefact(**target.model_dump()))
    await deletions.delete(target)
    clock.now += MONTH + timedelta(seconds=1)
    with pytest.raises(QueryError) as error:
        await deletions.restore(RestoreArtefact(**target.model_dump()))
    assert code(error) == "artefact_expired"
    rows = await pool.fetch(
        "SELECT actor ->> 'name' AS actor, action, detail FROM catalogue.track_events WHERE action LIKE 'artefact%' ORDER BY id"
    )
    assert tuple(rows[0]) == ("Ada", "artefact deleted", "phase2b_metrics.json of version 1")
    assert [row["action"].rpartition(" ")[2] for row in rows] == [
        "deleted",
        "restored",
        "deleted",
        "restored",
        "deleted",
    ]


@pytest.mark.parametrize(
    ("status", "refused"), [("staging", True), ("succeeded", True), ("failed", False), ("cancelled", False)]
)
async def test_what_a_deployment_needs_stays(
    *,
    pool: Pool,
    job_events: JobEventHandlers,
    objects: ObjectStore,
    deletions: ArtefactDeletions,
    status: str,
    refused: bool,
) -> None:
    """The map of a deployed version cannot be deleted; its metrics can."""
    song = await analyse(job_events, objects)
    await deploy(pool, song, status)
    named = await refs(pool, song)
    if refused:
        with pytest.raises(QueryError) as error:
            await deletions.delete(named["genesis_map"])
        assert (code(error), error.value.status) == ("artefact_in_use", 409)
    else:
        await deletions.delete(named["genesis_map"])
    await deletions.delete(named["metrics"])


async def test_links(
    *,
    pool: Pool,
    job_events: JobEventHandlers,
    objects: ObjectStore,
    links: LinkQueries,
    deletions: ArtefactDeletions,
    clock: Clock,
) -> None:
    """A link opens its artefact until it is revoked, expires, or the artefact is deleted; its token is not stored."""
    song = await analyse(job_events, objects)
    target = (await refs(pool, song))["metrics"]

    async def end_of(token: str) -> str | None:
        try:
            await links.open(OpenLink(token=token))
        except QueryError as error:
            return error.code
        return None

    with acting_as(ADA):
        made = await links.create(CopyLink(**target.model_dump(), expires_in=60))
    opened = await links.open(OpenLink(token=made.token))
    assert (opened.filename, opened.size_bytes) == ("phase2b_metrics.json", made.link.size_bytes)
    await links.open(OpenLink(token=made.token, count=False))
    stored = await pool.fetchval("SELECT row_to_json(l)::text FROM catalogue.links AS l")
    assert made.token not in stored
    assert json.loads(stored)["uses"] == 1
    assert await end_of(made.link.id) == "link_not_found"  # the id in lists opens nothing

    with acting_as(BOB):
        assert (await links.list_links(ListLinks())).total == 0
        with pytest.raises(QueryError) as error:
            await links.revoke(RevokeLink(token=made.link.id))
        assert code(error) == "link_not_found"
    await deletions.delete(target)
    assert await end_of(made.token) == "link_revoked"
    await deletions.restore(RestoreArtefact(**target.model_dump()))
    assert await end_of(made.token) is None
    with acting_as(ADMIN):
        assert [each.id for each in (await links.list_links(ListLinks())).items] == [made.link.id]
    with acting_as(ADA):
        first = await links.revoke(RevokeLink(token=made.link.id))
        assert await links.revoke(RevokeLink(token=made.token)) == first
    assert await end_of(made.token) == "link_revoked"
    other = await links.create(CopyLink(**target.model_dump(), expires_in=60))
    clock.now += timedelta(seconds=60)
    assert await end_of(other.token) == "link_expired"
    assert (await links.list_links(ListLinks())).items == []


async def test_links_by_page(
    pool: Pool, job_events: JobEventHandlers, objects: ObjectStore, links: LinkQueries
) -> None:
    """Every link is on exactly one page."""
    song = await analyse(job_events, objects)
    target = (await refs(pool, song))["metrics"]
    made = {(await links.create(CopyLink(**target.model_dump()))).link.id for _ in range(5)}
    seen: list[str] = []
    cursor = None
    while True:
        page = await links.list_links(ListLinks(limit=2, cursor=cursor))
        seen += [each.id for each in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert (page.total, len(seen), set(seen)) == (5, 5, made)


async def _no_copy(_: CopyAudio) -> AudioCopied:
    raise AssertionError("nobody asked for a copy")


async def test_media(pool: Pool, job_events: JobEventHandlers, objects: ObjectStore) -> None:
    """The audio has its media type; a version of an earlier release has no waveform, and the problem says what to do."""
    media = MediaQueries(pool, objects, _no_copy)
    song = await analyse(job_events, objects)
    source = await media.get_audio(GetAudio(track_id=song.track_id))
    assert (source.content_type, source.filename) == ("audio/mpeg", "night drive.mp3")
    for version in (None, 1):
        with pytest.raises(QueryError, match="analyse the song again") as error:
            await media.get_waveform(GetWaveform(track_id=song.track_id, version=version))
        assert code(error) == "waveform_missing"
    newer = await upload(job_events, 1)
    event = await newer.analysed(objects)
    waveform = await newer.artefact(objects, "waveform", "waveform.dat", b"peaks")
    await job_events.handle_completed(
        message(event.model_copy(update={"artefacts": [*event.artefacts, waveform]}))
    )
    found = await media.get_waveform(GetWaveform(track_id=newer.track_id))
    assert (found.size_bytes, found.sha256) == (5, waveform.sha256)


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
        clock.now += timedelta(days=days)
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
    clock.now += timedelta(seconds=11)
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
        clock.now += timedelta(seconds=11)
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


async def test_the_keys_of_one_track(pool: Pool, job_events: JobEventHandlers, objects: ObjectStore) -> None:
    """What another track refers to does not go with a track."""
    song, other = await analyse(job_events, objects), await upload(job_events, 1)
    own = {f"artefacts/{song.track_id}/1/{name}" for name in ("track.genesis.json", "phase2b_metrics.json")}
    async with pool.acquire() as connection:
        assert await keys_only_of_track(connection, song.track_id) == own  # both have the same audio
        await connection.execute("DELETE FROM catalogue.tracks WHERE id = $1", other.track_id)
        keys = await keys_only_of_track(connection, song.track_id)
        assert keys - own == {song.uploaded().audio.key}
        await deploy(pool, song, "succeeded", "d" * 64)
        keys = await keys_only_of_track(connection, song.track_id)
        assert f"graphs/{'d' * 64}/bundle.k1b" in keys
