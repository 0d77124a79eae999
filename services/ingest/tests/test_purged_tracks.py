"""Tests of what ingest does when a track was removed for good, with a running ingest."""

from datetime import UTC, datetime
from hashlib import sha256

import httpx

from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.track_edits import TRACK_PURGED, TrackPurged
from k1_platform.nats.streams.publisher import publish
from services.ingest.tests import songs
from tests.support.bus import connected_bus
from tests.support.waiting import eventually


async def test_the_bytes_of_a_purged_track_become_a_new_one(http: httpx.Client, unique: str) -> None:
    """The purge of another track, or of one that the claim no longer names, changes nothing."""
    song = songs.wav(2.0, int(unique[:7], 16))

    def upload() -> str:
        answer = http.post("/upload", files={"file": ("a.wav", song)})
        assert answer.status_code in {200, 202}
        return answer.json()["track_id"]

    first = upload()
    async with connected_bus(service="test") as bus:
        await bus.broker.start()

        async def purge(track_id: str) -> None:
            event = TrackPurged(
                track_id=track_id, audio_sha256=sha256(song).hexdigest(), purged_at=datetime.now(UTC)
            )
            await publish(bus.broker, TRACK_PURGED, event, source="test")

        await purge(new_id("trk"))
        await purge(first)

        async def is_new() -> bool:
            return upload() != first

        await eventually(is_new, "the bytes are a new track")
        second = upload()
        await purge(first)
        assert upload() == second
