"""The catalogue killed while it saves beats."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from faststream.nats import NatsBroker

from k1_contracts.messages.catalogue.beats import (
    BEAT_OVERRIDE_GET,
    BEAT_OVERRIDE_SAVE,
    BEATS_APPLY,
    ApplyBeats,
    BeatsApplied,
    GetBeatOverride,
    SaveBeatOverride,
)
from k1_platform.nats.queries.rpc import QueryError, QueryHandler, respond
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.beat_worker import BeatWorker
from services.catalogue.tests.beats.test_beat_overrides import LATER
from services.catalogue.tests.service_client import publish_analysis, request, wait_for_status
from services.catalogue.tests.song_samples import Song
from services.catalogue.tests.test_crash import _is_blocked_by
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service
from tests.support.waiting import eventually


async def test_killed_before_the_commit(
    empty_streams: Infrastructure, bus: NatsBroker, objects: ObjectStore, tmp_path: Path
) -> None:
    """After `kill -9` there is no half version; the same request again makes exactly one."""
    song, worker = Song(), BeatWorker(objects)

    async def apply(query: ApplyBeats) -> BeatsApplied:
        return await worker.apply(query)

    respond(bus, [QueryHandler(BEATS_APPLY, apply)])
    await bus.start()
    query = SaveBeatOverride(track_id=song.track_id, version=1, beats_ms=LATER, idempotency_key="once")
    blocker = await asyncpg.connect(empty_streams.environment["K1_POSTGRES_DSN"])
    try:
        with running_service("catalogue", empty_streams.environment, tmp_path) as first:
            await publish_analysis(bus, song, objects)
            await wait_for_status(bus, song, "ready")
            transaction = blocker.transaction()
            await transaction.start()
            await blocker.execute("SELECT 1 FROM catalogue.tracks WHERE id = $1 FOR UPDATE", song.track_id)
            saving = asyncio.create_task(request(bus, BEAT_OVERRIDE_SAVE, query))
            await eventually(lambda: _is_blocked_by(blocker), "the catalogue waits for the lock")
            first.process.kill()
            first.process.wait()
            saving.cancel()
        await transaction.rollback()
        with running_service("catalogue", empty_streams.environment, tmp_path):
            with pytest.raises(QueryError, match="no version 2"):
                await request(bus, BEAT_OVERRIDE_GET, GetBeatOverride(track_id=song.track_id, version=2))
            saved = await request(bus, BEAT_OVERRIDE_SAVE, query)
            assert await request(bus, BEAT_OVERRIDE_SAVE, query) == saved
            assert saved.version == 2
            counted = await blocker.fetchval(
                "SELECT count(*) FROM catalogue.versions WHERE track_id = $1", song.track_id
            )
            assert counted == 2
    finally:
        await blocker.close()
