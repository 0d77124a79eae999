"""Tracks whose song is on its way."""

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import pytest

from k1_catalogue.artefacts.media import MediaQueries
from k1_catalogue.edits.track_edits import TrackEdits
from k1_catalogue.history.queries import HistoryQueries
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.queries import JobQueries
from k1_catalogue.tracks.queries import TrackQueries
from k1_catalogue.tracks.rebuild_store import rebuild_tracks
from k1_catalogue.tracks.upload_handlers import TrackUploadHandlers
from k1_contracts.actors import Actor
from k1_contracts.descriptors import StreamMessage
from k1_contracts.envelope import Envelope
from k1_contracts.messages.analysis import RequestTrackAnalysis
from k1_contracts.messages.catalogue.media import AudioCopied, CopyAudio, GetAudio
from k1_contracts.messages.catalogue.track_edits import DeleteTrack, EditTrack, RestoreTrack
from k1_contracts.messages.catalogue.track_history import GetHistory
from k1_contracts.messages.catalogue.track_uploads import (
    TRACK_CREATED,
    TRACK_UPLOAD_ABANDONED,
    TrackCreated,
    TrackUploadAbandoned,
)
from k1_contracts.messages.catalogue.tracks import GetTrack, ListTracks
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.nats.streams.consumers import Delivery
from k1_platform.nats.streams.publisher import make_message
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
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


async def _no_copy(_: CopyAudio) -> AudioCopied:
    raise AssertionError("nobody asked for a copy")


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
    assert shown.track.created_at == AT
    assert shown.track.audio is not None
    assert (shown.track.status, shown.track.title, len(shown.versions)) == ("processing", "Day", 1)
    assert [each.id for each in (await track_queries.list_tracks(ListTracks(search="day"))).items] == [
        song.track_id
    ]


async def test_a_track_without_its_song_cannot_be_used_yet(
    *,
    uploads: TrackUploadHandlers,
    edits: TrackEdits,
    job_queries: JobQueries,
    track_queries: TrackQueries,
    objects: ObjectStore,
    pool: Pool,
) -> None:
    """Each attempt says why and changes nothing; neither does a rebuild. It refers to no object."""
    track_id = (song := Song()).track_id
    await uploads.handle_created(created(song))
    attempts: list[Awaitable[object]] = [
        edits.edit(EditTrack(track_id=track_id, title="Mine")),
        edits.delete(DeleteTrack(track_id=track_id)),
        job_queries.request_analysis(RequestTrackAnalysis(track_id=track_id)),
        MediaQueries(pool, objects, _no_copy).get_audio(GetAudio(track_id=track_id, format="opus")),
    ]
    for attempt in attempts:
        with pytest.raises(QueryError) as caught:
            await attempt
        assert (caught.value.code, caught.value.status) == ("track_uploading", 409)
    assert not (await edits.restore(RestoreTrack(track_id=track_id))).restored
    await rebuild_tracks(pool)
    shown = await track_queries.get_track(GetTrack(track_id=track_id))
    assert (shown.track.status, shown.track.title) == ("uploading", "Nächte")
    assert await pool.fetchval("SELECT count(*) FROM catalogue.object_references") == 0


async def test_the_history_tells_of_the_song(
    uploads: TrackUploadHandlers, job_events: JobEventHandlers, pool: Pool, track_queries: TrackQueries
) -> None:
    """The track's creation, its song, or that there was none; with `at`, the track was there without a song."""
    got, lost = Song(), Song()
    with acting_as(Actor(kind="user", id="usr_1", name="Ann", role="editor")):
        for song in (got, lost):
            await uploads.handle_created(created(song))
        await job_events.handle_track_uploaded(message(got.uploaded()))
    await uploads.handle_abandoned(abandoned(got))
    await uploads.handle_abandoned(abandoned(lost))
    history = HistoryQueries(pool)
    events = [
        (await history.get_history(GetHistory(track_id=song.track_id))).items[::-1] for song in (got, lost)
    ]
    assert [[(each.action, each.actor.name, each.detail) for each in of_song] for of_song in events] == [
        [("created", "Ann", None), ("uploaded", "Ann", "night drive.mp3")],
        [("created", "Ann", None), ("upload abandoned", "service:ingest", "expired")],
    ]
    before, after = events[0][1].before, events[0][1].after
    assert before is not None
    assert after is not None
    assert (before["track"]["status"], before["track"]["audio"]) == ("uploading", None)
    assert (after["track"]["status"], set(after)) == ("processing", {"track", "versions", "jobs"})
    for song, of_song in zip((got, lost), events, strict=True):
        then = await track_queries.get_track(GetTrack(track_id=song.track_id, at=of_song[0].recorded_at))
        assert (then.track.status, then.track.audio, then.versions) == ("uploading", None, [])
    with pytest.raises(QueryError) as caught:
        await track_queries.get_track(GetTrack(track_id=lost.track_id))
    assert caught.value.code == "track_not_found"


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
