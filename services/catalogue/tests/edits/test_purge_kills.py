"""The process of a purge killed with SIGKILL at every step; the next purge finishes its work."""

import asyncio
import itertools
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pydantic import SecretStr

from k1_catalogue.edits import purge as purge_steps
from k1_catalogue.edits import purge_store
from k1_catalogue.edits.purge import Purger
from k1_catalogue.edits.track_edits import PURGE_AFTER, TrackEdits
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.maps.store import MapStore
from k1_contracts.messages.catalogue.track_edits import DeleteTrack
from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.processes.threads import in_thread
from k1_platform.settings import MongoSettings, ObjectStoreSettings, PostgresSettings
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.conftest import Clock
from services.catalogue.tests.edits.test_purge import rest_of
from services.catalogue.tests.song_samples import Song, analyse
from tests.support.waiting import eventually

STEPS = (
    (purge_store, "start_purge"),
    (purge_steps, "enqueue"),
    (MapStore, "delete"),
    (purge_store, "own_keys"),
    (ObjectStore, "delete"),
    (purge_store, "remove_rows"),
)
IN_TRANSACTION = {"enqueue", "remove_rows"}
"""The steps after which the process is killed as well, before they are committed."""


def purge_until(environment: dict[str, str], dsn: str, now: datetime, moment: int) -> None:
    """Purge what is due in this process, which dies at its n-th moment, if it has as many."""
    os.environ.update(environment)
    moments = itertools.count(1)

    def die() -> None:
        if next(moments) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(name: str, step: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            die()
            result = await step(*arguments, **named)
            if name in IN_TRANSACTION:
                die()
            return result

        return call

    for owner, name in STEPS:
        setattr(owner, name, dying(name, getattr(owner, name)))

    async def purge() -> None:
        async with await open_pool(PostgresSettings(dsn=SecretStr(dsn)), "purge") as pool:
            maps, objects = MapStore.connect(MongoSettings()), ObjectStore(ObjectStoreSettings())
            await Purger(pool, maps, objects, lambda: now).purge_due()

    asyncio.run(purge())


async def test_a_killed_purge_is_finished_by_the_next(
    *,
    purger: Purger,
    pool: Pool,
    database: PostgresSettings,
    maps: MapStore,
    objects: ObjectStore,
    job_events: JobEventHandlers,
    edits: TrackEdits,
    clock: Clock,
) -> None:
    """Nothing of the track stays, wherever the process died; nothing of another track goes, shared files included."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "k1_catalogue.purge"])
    neighbour = await _song(objects, job_events)
    kept = [*await _objects_of(pool, neighbour, objects), _manifest(neighbour)]
    moment, has_died = 0, True
    while has_died:
        moment += 1
        song = await _deleted_song(pool, objects, job_events, edits, clock, shares=kept[0])
        own = {*await _objects_of(pool, song, objects), _manifest(song)} - {*kept}
        assert len(own) == 2
        arguments = (dict(os.environ), database.dsn.get_secret_value(), clock.now, moment)
        child = context.Process(target=purge_until, args=arguments)
        child.start()
        await in_thread(child.join)
        assert child.exitcode in {0, -signal.SIGKILL}
        has_died = child.exitcode == -signal.SIGKILL
        await eventually(partial(_is_gone, purger, pool, song), f"moment {moment}: the next purge finishes")
        assert (await rest_of(pool, song), await maps.get(song.track_id, 1)) == ({}, None), moment
        assert [key for key in own if await objects.exists(key)] == [], moment
        assert [key for key in kept if not await objects.exists(key)] == [], moment
        assert await maps.get(neighbour.track_id, 1) is not None
        ids = await pool.fetch(
            "SELECT DISTINCT headers::json ->> 'ce-id' FROM catalogue.outbox"
            " WHERE subject = 'track.purged' AND convert_from(body, 'UTF8')::json ->> 'track_id' = $1",
            song.track_id,
        )
        assert len(ids) == 1, "the announcement is one event, however often it is made"
    assert moment > len(STEPS) + len(IN_TRANSACTION), "each object is a moment too"


async def _is_gone(purger: Purger, pool: Pool, song: Song) -> bool:
    """Purge, as the service does from time to time: the lock of a killed process may be held for a moment."""
    await purger.purge_due()
    return await rest_of(pool, song) == {}


async def _song(objects: ObjectStore, job_events: JobEventHandlers) -> Song:
    """Return an analysed song whose audio and manifest lie in the store."""
    song = await analyse(job_events, objects)
    await objects.put_bytes(song.uploaded().audio.key, b"x", "audio/mpeg")
    await objects.put_bytes(_manifest(song), b"{}", "application/json")
    return song


def _manifest(song: Song) -> str:
    return f"artefacts/{song.track_id}/1/manifest.json"


async def _deleted_song(
    pool: Pool,
    objects: ObjectStore,
    job_events: JobEventHandlers,
    edits: TrackEdits,
    clock: Clock,
    *,
    shares: str,
) -> Song:
    """Return a song that is due for its purge; its audio and metrics are the same objects as another track's."""
    song = await _song(objects, job_events)
    await pool.execute(
        "UPDATE catalogue.artefacts SET key = $2 WHERE track_id = $1 AND type = 'metrics'",
        song.track_id,
        shares,
    )
    await edits.delete(DeleteTrack(track_id=song.track_id))
    clock.forward(PURGE_AFTER + timedelta(seconds=1))
    return song


async def _objects_of(pool: Pool, song: Song, objects: ObjectStore) -> list[str]:
    """Return the keys of the objects of a track that exist."""
    rows = await pool.fetch(
        "SELECT key FROM catalogue.object_references WHERE track_id = $1 ORDER BY type DESC", song.track_id
    )
    return [row["key"] for row in rows if await objects.exists(row["key"])]
