"""Tracks whose song is on its way."""

from datetime import UTC, datetime, timedelta

import pytest

from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.tracks.queries import TrackQueries
from k1_catalogue.tracks.upload_handlers import TrackUploadHandlers
from k1_contracts.descriptors import StreamMessage
from k1_contracts.envelope import Envelope
from k1_contracts.messages.track_uploads import (
    TRACK_CREATED,
    TRACK_UPLOAD_ABANDONED,
    TrackCreated,
    TrackUploadAbandoned,
)
from k1_contracts.messages.tracks import GetTrack, ListTracks
from k1_platform.nats.consumers import Delivery
from k1_platform.nats.publisher import make_message
from k1_platform.postgres.pool import Pool
from services.catalogue.tests.song_samples import Song, message

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def delivery(kind: StreamMessage, body: TrackCreated | TrackUploadAbandoned) -> Delivery:
    """Return the message as ingest publishes it, with its derived id."""
    sent = make_message(kind, body, source="ingest")
    return Delivery(Envelope.from_headers(sent.headers), body, sent.subject)


def created(song: Song) -> Delivery:
    event = TrackCreated(
        track_id=song.track_id,
        title="Nächte",
        tags=["dark"],
        created_at=AT,
        expires_at=AT + timedelta(hours=1),
    )
    return delivery(TRACK_CREATED, event)


def abandoned(song: Song) -> Delivery:
    return delivery(
        TRACK_UPLOAD_ABANDONED, TrackUploadAbandoned(track_id=song.track_id, reason="expired", at=AT)
    )


@pytest.fixture
def uploads(pool: Pool) -> TrackUploadHandlers:
    return TrackUploadHandlers(pool)


async def test_a_created_track_waits_for_its_song(
    uploads: TrackUploadHandlers, job_events: JobEventHandlers, track_queries: TrackQueries
) -> None:
    """It is listed and shown as `uploading`; its song makes it an ordinary track; it cannot be abandoned then."""
    song = Song()
    for _ in range(2):
        await uploads.handle_created(created(song))
    [item] = (await track_queries.list_tracks(ListTracks(status="uploading"))).items
    assert (item.id, item.title, item.status) == (song.track_id, "Nächte", "uploading")
    shown = await track_queries.get_track(GetTrack(track_id=song.track_id))
    assert (shown.track.audio, shown.versions) == (None, [])
    await job_events.handle_track_uploaded(message(song.uploaded(title="Day")))
    await uploads.handle_abandoned(abandoned(song))
    shown = await track_queries.get_track(GetTrack(track_id=song.track_id))
    assert shown.track.audio is not None
    assert (shown.track.status, shown.track.title, len(shown.versions)) == ("processing", "Day", 1)
    assert [each.id for each in (await track_queries.list_tracks(ListTracks(search="day"))).items] == [
        song.track_id
    ]


@pytest.mark.parametrize("late", [False, True])
async def test_an_abandoned_track_is_removed(
    uploads: TrackUploadHandlers, track_queries: TrackQueries, late: bool
) -> None:
    """Also when its creation is delivered after that."""
    song = Song()
    if not late:
        await uploads.handle_created(created(song))
    await uploads.handle_abandoned(abandoned(song))
    await uploads.handle_created(created(song))
    assert (await track_queries.list_tracks(ListTracks())).total == 0


async def test_a_song_may_be_faster_than_its_track(
    uploads: TrackUploadHandlers, job_events: JobEventHandlers, track_queries: TrackQueries
) -> None:
    """Events that are out of order give the same track."""
    song = Song()
    await job_events.handle_track_uploaded(message(song.uploaded()))
    await uploads.handle_created(created(song))
    assert (await track_queries.get_track(GetTrack(track_id=song.track_id))).track.status == "processing"
