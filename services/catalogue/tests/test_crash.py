"""The catalogue killed at the worst moment."""

from pathlib import Path

import asyncpg
from faststream.nats import NatsBroker
from nats.js import JetStreamContext

from k1_contracts import streams, subjects
from k1_contracts.durables import CATALOGUE
from k1_platform.nats.provision import consumer_config
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.bus import has_status, tell, until
from services.catalogue.tests.songs import Song
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service


async def test_killed_between_the_two_databases(
    nothing_told: Infrastructure,
    bus: NatsBroker,
    objects: ObjectStore,
    jetstream: JetStreamContext,
    tmp_path: Path,
) -> None:
    """`kill -9` after the map was written and before it was told of: redelivered, and ready exactly once."""
    song = Song()
    blocker = await asyncpg.connect(nothing_told.environment["K1_POSTGRES_DSN"])
    impatient = consumer_config(CATALOGUE)
    impatient.ack_wait = 3
    await jetstream.add_consumer(streams.EVENTS, impatient)
    try:
        with running_service("catalogue", nothing_told.environment, tmp_path) as first:
            await tell(bus, subjects.TRACK_UPLOADED, song.uploaded(), song.track_id)
            await until(lambda: has_status(bus, song, "processing"))
            transaction = blocker.transaction()
            await transaction.start()
            await blocker.execute("SELECT 1 FROM catalogue.tracks WHERE id = $1 FOR UPDATE", song.track_id)
            await tell(bus, subjects.ANALYSIS_COMPLETED, await song.analysed(objects), song.job_id)
            await until(lambda: _waits_for(blocker))
            first.process.kill()
            first.process.wait()
        await transaction.rollback()
        with running_service("catalogue", nothing_told.environment, tmp_path):
            await until(lambda: has_status(bus, song, "ready"))
            counted = await blocker.fetchrow(
                "SELECT (SELECT count(*) FROM catalogue.artefacts WHERE track_id = $1),"
                " (SELECT count(*) FROM catalogue.audit WHERE track_id = $1 AND action = 'completed')",
                song.track_id,
            )
            assert tuple(counted or ()) == (2, 1)
    finally:
        await jetstream.add_consumer(streams.EVENTS, consumer_config(CATALOGUE))
        await blocker.close()


async def _waits_for(blocker: asyncpg.Connection) -> bool:
    """Whether a catalogue waits for what this connection has locked."""
    return await blocker.fetchval(
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity"
        " WHERE application_name = 'k1-catalogue' AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
    )
