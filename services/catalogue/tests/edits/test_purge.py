"""Tests of the purge of deleted tracks, interrupted at every step."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from k1_catalogue.edits import purge_store
from k1_catalogue.edits.purge import Purger
from k1_catalogue.edits.track_edits import PURGE_AFTER, TrackEdits
from k1_catalogue.history.queries import HistoryQueries
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.maps.store import MapStore
from k1_contracts.messages.catalogue.track_edits import DeleteTrack, RestoreTrack, TrackPurged
from k1_contracts.messages.catalogue.track_history import GetHistory
from k1_platform.errors import TransientError
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.conftest import Clock
from services.catalogue.tests.song_samples import Song, analyse, message

STEPS = ("start_purge", "delete maps", "own_keys", "delete objects", "remove_rows")


@pytest.fixture
async def deleted(
    edits: TrackEdits, job_events: JobEventHandlers, objects: ObjectStore, clock: Clock
) -> Song:
    """A song that was analysed, and deleted thirty days ago."""
    song = await analyse(job_events, objects)
    await edits.delete(DeleteTrack(track_id=song.track_id))
    clock.forward(PURGE_AFTER + timedelta(seconds=1))
    return song


async def rest_of(pool: Pool, song: Song) -> dict[str, int]:
    """Return how many rows of each table are about a track."""
    tables = ("versions", "jobs", "artefacts", "graphs", "deployments", "undo_tokens", "track_changes")
    counts = {
        table: await pool.fetchval(
            f"SELECT count(*) FROM catalogue.{table} WHERE track_id = $1", song.track_id
        )
        for table in tables
    }
    counts["tracks"] = await pool.fetchval(
        "SELECT count(*) FROM catalogue.tracks WHERE id = $1", song.track_id
    )
    return {table: count for table, count in counts.items() if count}


async def keys_of(pool: Pool, song: Song) -> list[str]:
    rows = await pool.fetch("SELECT key FROM catalogue.artefacts WHERE track_id = $1", song.track_id)
    return [row["key"] for row in rows]


async def test_nothing_of_a_purged_track_remains_but_one_event(
    *, purger: Purger, pool: Pool, maps: MapStore, objects: ObjectStore, deleted: Song, edits: TrackEdits
) -> None:
    """Rows, map and objects are gone; `track.purged` is announced; the history says that the track was purged."""
    keys = await keys_of(pool, deleted)
    manifest = f"{keys[0].rpartition('/')[0]}/manifest.json"
    await objects.put_bytes(manifest, b"{}", "application/json")
    assert [track.id for track in await purger.find_due()] == [deleted.track_id]
    assert [track.id for track in await purger.purge_due()] == [deleted.track_id]
    assert await rest_of(pool, deleted) == {}
    assert await maps.get(deleted.track_id, 1) is None
    assert [await objects.exists(key) for key in (*keys, manifest)] == [False] * 3
    history = await HistoryQueries(pool).get_history(GetHistory(track_id=deleted.track_id))
    assert [event.action for event in history.items] == ["purged"]
    body = await pool.fetchval("SELECT body FROM catalogue.outbox WHERE subject = 'track.purged'")
    assert TrackPurged.model_validate_json(body).track_id == deleted.track_id
    with pytest.raises(QueryError) as caught:
        await edits.restore(RestoreTrack(track_id=deleted.track_id))
    assert caught.value.code == "track_not_found"
    assert await purger.purge_due() == []
    assert await pool.fetchval("SELECT sum(n) FROM catalogue.totals") == 0


@pytest.mark.parametrize("step", STEPS)
async def test_a_purge_that_was_interrupted_is_finished(
    *,
    monkeypatch: pytest.MonkeyPatch,
    purger: Purger,
    pool: Pool,
    maps: MapStore,
    objects: ObjectStore,
    deleted: Song,
    edits: TrackEdits,
    step: str,
) -> None:
    """Wherever it ends, the next one removes the rest; from its first step on, nobody can restore the track."""
    keys = await keys_of(pool, deleted)

    async def fail(*_: Any) -> None:
        raise TransientError(step)

    with monkeypatch.context() as patch:
        match step:
            case "delete maps":
                patch.setattr(MapStore, "delete", fail)
            case "delete objects":
                patch.setattr(ObjectStore, "delete", fail)
            case _:
                patch.setattr(purge_store, step, fail)
        with pytest.raises(TransientError, match=step):
            await purger.purge_due()
    assert "tracks" in await rest_of(pool, deleted)
    if step != "start_purge":
        with pytest.raises(QueryError) as caught:
            await edits.restore(RestoreTrack(track_id=deleted.track_id))
        assert caught.value.code == "track_purged"
    assert [track.id for track in await purger.purge_due()] == [deleted.track_id]
    assert (await rest_of(pool, deleted), await maps.get(deleted.track_id, 1)) == ({}, None)
    assert not any([await objects.exists(key) for key in keys])


async def test_objects_of_other_tracks_stay(
    purger: Purger, pool: Pool, objects: ObjectStore, deleted: Song, job_events: JobEventHandlers
) -> None:
    """An artefact and an audio file that another track refers to as well are not deleted."""
    other = await analyse(job_events, objects)
    shared, own = (await keys_of(pool, deleted))[:2]
    await pool.execute(
        "UPDATE catalogue.artefacts SET key = $2 WHERE track_id = $1 AND type = 'metrics'",
        other.track_id,
        shared,
    )
    audio = other.uploaded().audio.key
    await objects.put_bytes(audio, b"x", "audio/mpeg")
    await purger.purge_due()
    assert [await objects.exists(key) for key in (shared, own, audio)] == [True, False, True]


async def test_one_process_purges_at_a_time(purger: Purger, pool: Pool, deleted: Song) -> None:
    """Two purges at once remove the track once, and the second does not wait."""
    results = await asyncio.gather(purger.purge_due(), purger.purge_due())
    assert sorted(len(removed) for removed in results) == [0, 1]


async def test_a_running_deployment_postpones_the_purge(purger: Purger, pool: Pool, deleted: Song) -> None:
    """So does the age of the deletion."""
    await pool.execute(
        "INSERT INTO catalogue.deployments (id, track_id, version, status, paused, total, counts, created_at,"
        " updated_at) VALUES ('dep_1', $1, 1, 'activating', false, 1, '{}', now(), now())",
        deleted.track_id,
    )
    assert await purger.purge_due() == []
    await pool.execute("UPDATE catalogue.deployments SET status = 'succeeded'")
    assert len(await purger.purge_due()) == 1


async def test_a_young_deletion_is_not_purged(
    purger: Purger, edits: TrackEdits, job_events: JobEventHandlers, objects: ObjectStore, clock: Clock
) -> None:
    """It can be restored for thirty days."""
    song = await analyse(job_events, objects)
    await edits.delete(DeleteTrack(track_id=song.track_id))
    clock.forward(PURGE_AFTER)
    assert await purger.purge_due() == []


async def test_late_events_of_a_purged_track_are_dropped(
    purger: Purger, pool: Pool, deleted: Song, job_events: JobEventHandlers, objects: ObjectStore
) -> None:
    """They change nothing and are not delivered again."""
    completed = await deleted.analysed(objects)
    await purger.purge_due()
    await job_events.handle_cancelled(message(deleted.cancelled()))
    await job_events.handle_completed(message(completed, number=2))
    assert await rest_of(pool, deleted) == {}


async def test_events_can_neither_be_changed_nor_deleted(pool: Pool, deleted: Song) -> None:
    """Only a purge may delete them."""
    for statement in ("UPDATE catalogue.track_events SET action = 'x'", "DELETE FROM catalogue.track_events"):
        with pytest.raises(Exception, match="never changed"):
            await pool.execute(statement)
    images = await pool.fetch("SELECT after FROM catalogue.track_events WHERE after IS NOT NULL")
    assert all(isinstance(json.loads(row["after"]), dict) for row in images)
