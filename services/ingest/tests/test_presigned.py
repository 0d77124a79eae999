"""Tracks whose song is sent to the object store directly."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from nats.js import JetStreamContext

from k1_contracts.messages.catalogue.track_uploads import (
    TRACK_COMPLETE,
    TRACK_CREATE,
    TRACK_CREATED,
    TRACK_UPLOAD_ABANDONED,
    CompleteTrack,
    CreateTrack,
    TrackUpload,
    TrackUploadAbandoned,
)
from k1_contracts.messages.catalogue.tracks import UploadAccepted
from k1_ingest.open_uploads.store import OpenUploads
from k1_ingest.presigned.presigned_service import PresignedService
from k1_ingest.presigned.record import LIFETIME, ExpectedSong
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryError, request
from k1_platform.storage.objects import ObjectStore
from services.ingest.tests import songs
from services.ingest.tests.test_upload import published_events, upload
from tests.support.bus import connected_bus
from tests.support.service_process import RunningService
from tests.support.waiting import PATIENCE_S


@pytest.fixture
async def bus(ingest: RunningService) -> AsyncIterator[Bus]:
    async with connected_bus() as bus:
        yield bus


@pytest.fixture
def song(unique: str) -> bytes:
    return songs.wav(2.0, int(unique[:7], 16))


async def create(bus: Bus, **fields: Any) -> TrackUpload:
    query = CreateTrack(title="Night, late", tags=["a, b"], preset="orchestral", **fields)
    return await request(bus.broker, TRACK_CREATE, query, timeout_s=PATIENCE_S)


async def complete(bus: Bus, track_id: str) -> UploadAccepted:
    return await request(bus.broker, TRACK_COMPLETE, CompleteTrack(track_id=track_id), timeout_s=PATIENCE_S)


async def send(track: TrackUpload, data: bytes) -> None:
    response = await asyncio.to_thread(httpx.put, track.upload_url, content=data, timeout=PATIENCE_S)
    assert response.status_code == 200, response.text


async def abandonments(jetstream: JetStreamContext, track_id: str) -> list[str]:
    """Return the reasons of the events that remove a track."""
    try:
        message = await jetstream.get_last_msg("EVENTS", TRACK_UPLOAD_ABANDONED.subject)
    except Exception:  # noqa: BLE001  there is none
        return []
    event = TrackUploadAbandoned.model_validate_json(message.data or b"")
    return [event.reason] if event.track_id == track_id else []


async def test_a_sent_song_becomes_the_created_track(
    bus: Bus, jetstream: JetStreamContext, objects: ObjectStore, song: bytes
) -> None:
    """The track is announced first; its song is copied, so a second PUT changes nothing; a repetition is harmless."""
    track = await create(bus)
    message = await jetstream.get_last_msg("EVENTS", TRACK_CREATED.subject)
    assert track.track_id.encode() in (message.data or b"")
    with pytest.raises(QueryError) as early:
        await complete(bus, track.track_id)
    assert (early.value.code, early.value.status) == ("song_missing", 409)
    await send(track, song)
    accepted = await complete(bus, track.track_id)
    assert (accepted.track_id, accepted.status) == (track.track_id, "queued")
    await send(track, b"other bytes")
    assert await complete(bus, track.track_id) == accepted
    [(_, event)] = await published_events(jetstream, track.track_id)
    assert (event.title, event.tags, event.preset) == ("Night, late", ["a, b"], "orchestral")
    assert await objects.get_bytes(event.audio.key) == song


async def test_known_bytes_are_the_track_that_they_are(
    bus: Bus, http: httpx.Client, jetstream: JetStreamContext, song: bytes
) -> None:
    """The created track disappears."""
    first = (await asyncio.to_thread(upload, http, song)).json()
    track = await create(bus)
    await send(track, song)
    accepted = await complete(bus, track.track_id)
    assert (accepted.track_id, accepted.status) == (first["track_id"], "existing")
    assert await abandonments(jetstream, track.track_id) == ["duplicate"]
    assert await published_events(jetstream, track.track_id) == []


async def test_another_song_may_follow_a_rejected_one(bus: Bus, song: bytes) -> None:
    """Until the hour has passed."""
    track = await create(bus)
    for data, code in ((b"words " * 100, "unsupported_format"), (b"", "empty_file")):
        await send(track, data)
        with pytest.raises(QueryError) as refused:
            await complete(bus, track.track_id)
        assert refused.value.code == code
    await send(track, song)
    assert (await complete(bus, track.track_id)).status == "queued"


async def test_a_song_that_is_too_long_is_not_even_sent(bus: Bus) -> None:
    with pytest.raises(QueryError) as refused:
        await create(bus, duration_hint=20 * 60 + 1)
    assert refused.value.code == "too_long"


async def test_a_track_without_a_song_is_removed_after_an_hour(
    bus: Bus, jetstream: JetStreamContext, objects: ObjectStore, song: bytes
) -> None:
    """With its object; the event is published again when the sweep was interrupted."""
    track = await create(bus)
    await send(track, song)
    store = await OpenUploads.open(jetstream)

    def service(now: datetime) -> PresignedService:
        unused: Any = None
        return PresignedService(
            bus=bus, objects=objects, store=store, uploads=unused, slots=unused, clock=lambda: now,
            max_bytes=1, max_minutes=1,
        )  # fmt: skip

    now = datetime.now(UTC)
    await service(now + LIFETIME - timedelta(minutes=1)).expire(track.track_id)
    found = await store.find(track.track_id, ExpectedSong)
    assert found
    await service(now + LIFETIME + timedelta(seconds=1)).expire(track.track_id)
    assert await abandonments(jetstream, track.track_id) == ["expired"]
    assert await store.find(track.track_id, ExpectedSong) is None
    assert not await objects.exists(found.record.key)
    with pytest.raises(QueryError) as late:
        await complete(bus, track.track_id)
    assert late.value.code == "upload_not_found"
    await store.create(track.track_id, found.record.model_copy(update={"state": "abandoned"}))
    await service(now).expire(track.track_id)
    assert await store.find(track.track_id, ExpectedSong) is None
