"""Tests of the catalogue killed between its writes to MongoDB and to PostgreSQL."""

from pathlib import Path

import asyncpg
from faststream.nats import NatsBroker
from nats.js import JetStreamContext

from k1_contracts import streams
from k1_contracts.durables import CATALOGUE
from k1_contracts.messages.analysis import ANALYSIS_COMPLETED
from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED
from k1_platform.nats.administration.provision import consumer_config
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.service_client import publish, wait_for_status
from services.catalogue.tests.song_samples import Song
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service
from tests.support.waiting import eventually


async def test_killed_between_the_two_databases(
    empty_streams: Infrastructure,
    bus: NatsBroker,
    objects: ObjectStore,
    jetstream: JetStreamContext,
    tmp_path: Path,
) -> None:
    """After `kill -9` between the map and its row, the event is redelivered and the track is ready exactly once."""
    song = Song()
    blocker = await asyncpg.connect(empty_streams.environment["K1_POSTGRES_DSN"])
    short_ack_wait = consumer_config(CATALOGUE)
    short_ack_wait.ack_wait = 3
    await jetstream.add_consumer(streams.EVENTS, short_ack_wait)
    try:
        with running_service("catalogue", empty_streams.environment, tmp_path) as first:
            await publish(bus, TRACK_UPLOADED, song.uploaded(), source="test")
            await wait_for_status(bus, song, "processing")
            transaction = blocker.transaction()
            await transaction.start()
            await blocker.execute("SELECT 1 FROM catalogue.tracks WHERE id = $1 FOR UPDATE", song.track_id)
            await publish(bus, ANALYSIS_COMPLETED, await song.analysed(objects), source="test")
            await eventually(lambda: _is_blocked_by(blocker), "the catalogue waits for the lock")
            first.process.kill()
            first.process.wait()
        await transaction.rollback()
        with running_service("catalogue", empty_streams.environment, tmp_path):
            await wait_for_status(bus, song, "ready")
            counted = await blocker.fetchrow(
                "SELECT (SELECT count(*) FROM catalogue.artefacts WHERE track_id = $1),"
                " (SELECT count(*) FROM catalogue.track_events WHERE track_id = $1 AND action = 'completed')",
                song.track_id,
            )
            assert tuple(counted or ()) == (2, 1)
    finally:
        await jetstream.add_consumer(streams.EVENTS, consumer_config(CATALOGUE))
        await blocker.close()


async def _is_blocked_by(blocker: asyncpg.Connection) -> bool:
    """Return whether a catalogue waits for a lock of this connection."""
    found: bool | None = await blocker.fetchval(
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity"
        " WHERE application_name = 'k1-catalogue' AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
    )
    return bool(found)
