"""Tests of editing, deleting and restoring tracks, with real stores."""

from datetime import timedelta
from typing import Any

import pytest

from k1_catalogue.deployments.bundle_queries import BundleQueries
from k1_catalogue.edits.track_edits import TrackEdits
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.queries import JobQueries
from k1_catalogue.tracks.list_store import list_tracks
from k1_contracts.actors import Actor, Role
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import RequestTrackAnalysis
from k1_contracts.messages.catalogue.track_edits import DeleteTrack, EditTrack, RestoreTrack
from k1_contracts.messages.catalogue.tracks import GetTrack, ListTracks
from k1_contracts.messages.deploy.bundles import GetBundle
from k1_platform.nats.actors import RoleError, acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.conftest import NOW, Clock
from services.catalogue.tests.job_tables import insert_reanalysis
from services.catalogue.tests.song_samples import Song, analyse, genesis, message, upload


def ann(role: Role = "editor") -> Actor:
    return Actor(kind="user", id="usr_1", name="Ann", role=role, address="10.0.0.7")


async def last_event(pool: Pool) -> tuple[str, str]:
    row = await pool.fetchrow(
        "SELECT action, actor ->> 'name' FROM catalogue.track_events ORDER BY id DESC LIMIT 1"
    )
    assert row is not None
    return row[0], row[1]


async def test_an_edit_changes_only_its_fields(
    edits: TrackEdits, job_events: JobEventHandlers, pool: Pool
) -> None:
    """The rest stays, the track is found under its new title, and the event names who did it."""
    song = await upload(job_events, tags=["old"], preset="edm")
    edit = EditTrack(
        track_id=song.track_id,
        title=" Nacht\u202e  Fahrt",
        tags=["a", "b", "a"],
        notes="# Cue",
        clear=["preset"],
    )
    with acting_as(ann()):
        track = (await edits.edit(edit)).track
    assert (track.title, track.artist, track.tags) == ("Nacht Fahrt", "Kavinsky", ["a", "b"])
    assert (track.preset, track.notes) == (None, "# Cue")
    assert [item.id for item in (await list_tracks(pool, ListTracks(search="fahrt"))).items] == [
        song.track_id
    ]
    assert (await list_tracks(pool, ListTracks(search="old"))).total == 0
    assert await last_event(pool) == ("edited", "Ann")
    cleared = await edits.edit(EditTrack(track_id=song.track_id, clear=["artist", "notes"]))
    assert (cleared.track.artist, cleared.track.notes) == (None, None)


async def test_the_second_of_two_edits_of_one_copy_is_rejected(
    edits: TrackEdits, job_events: JobEventHandlers
) -> None:
    """The tag of the copy that was read counts; events of the analysis do not change it, nor does an empty edit."""
    song = await upload(job_events)
    first = await edits.edit(EditTrack(track_id=song.track_id))
    tag = f"{first.revision}-0123"
    await job_events.handle_started(message(song.started()))
    edited = await edits.edit(EditTrack(track_id=song.track_id, title="Mine", if_match=["9-x", tag]))
    assert edited.revision == first.revision + 1
    with pytest.raises(QueryError) as caught:
        await edits.edit(EditTrack(track_id=song.track_id, title="Theirs", if_match=[tag]))
    assert (caught.value.code, caught.value.status) == ("track_changed", 412)
    with pytest.raises(QueryError):
        await edits.edit(EditTrack(track_id=song.track_id, title="Weak", if_match=[]))
    assert (
        await edits.edit(EditTrack(track_id=song.track_id, title="Any", if_match=["*"]))
    ).track.title == "Any"


async def test_a_chosen_version_is_current_until_a_newer_one_is_ready(
    edits: TrackEdits, job_events: JobEventHandlers, objects: ObjectStore, pool: Pool
) -> None:
    """The figures are those of the chosen version; a failed analysis does not end the choice, a later map does."""
    song = await analyse(job_events, objects)
    second = await insert_reanalysis(pool, song)
    with pytest.raises(QueryError) as caught:
        await edits.edit(EditTrack(track_id=song.track_id, current_version=2))
    assert caught.value.code == "version_unusable"
    await job_events.handle_completed(message(await second.analysed(objects, genesis(f_measure=0.5, seed=2))))
    chosen = (await edits.edit(EditTrack(track_id=song.track_id, current_version=1))).track
    assert (chosen.current_version, chosen.status, chosen.f_measure) == (1, "ready", 0.95)
    for version, ends in ((3, "failed"), (4, "completed")):
        again = await _reanalyse(pool, song, version)
        if ends == "failed":
            await job_events.handle_failed(message(again.failed()))
        else:
            await job_events.handle_completed(message(await again.analysed(objects, genesis(seed=version))))
        current = await pool.fetchval("SELECT current_version FROM catalogue.tracks")
        assert current == (1 if ends == "failed" else 4)
    await edits.edit(EditTrack(track_id=song.track_id, current_version=2))
    back = await edits.edit(EditTrack(track_id=song.track_id, clear=["current_version"]))
    assert back.track.current_version == 4
    with pytest.raises(QueryError) as caught:
        await edits.edit(EditTrack(track_id=song.track_id, current_version=9))
    assert caught.value.code == "version_not_found"


async def _reanalyse(pool: Pool, song: Song, version: int) -> Song:
    again = song.reanalysis(new_id("job"), version)
    await pool.execute(
        "INSERT INTO catalogue.versions (track_id, version, job_id, status, created_at)"
        " VALUES ($1, $2, $3, 'processing', $4)",
        song.track_id, version, again.job_id, NOW,
    )  # fmt: skip
    await pool.execute(
        "INSERT INTO catalogue.jobs (id, track_id, version, status, priority, created_at)"
        " VALUES ($1, $2, $3, 'queued', 5, $4)",
        again.job_id, song.track_id, version, NOW,
    )  # fmt: skip
    return again


async def test_a_deleted_track_is_out_of_the_way(
    edits: TrackEdits,
    job_events: JobEventHandlers,
    job_queries: JobQueries,
    objects: ObjectStore,
    pool: Pool,
) -> None:
    """It is in no list but that of deleted tracks, cannot be changed or deployed, and its jobs are cancelled."""
    other, song = await upload(job_events, 1), await upload(job_events)
    await edits.delete(DeleteTrack(track_id=song.track_id))
    every, deleted = ListTracks(), ListTracks(status="deleted")
    pages = [await list_tracks(pool, query) for query in (every, deleted, ListTracks(search="night"))]
    assert [[item.id for item in page.items] for page in pages] == [
        [other.track_id],
        [song.track_id],
        [other.track_id],
    ]
    assert [page.total for page in pages] == [1, 1, 1]
    assert (await job_queries.cancels.get(song.job_id)).value
    detail = await edits.tracks.get_track(GetTrack(track_id=song.track_id))
    assert (detail.track.status, detail.track.deleted_at) == ("deleted", NOW)
    await job_events.handle_completed(message(await song.analysed(objects)))
    assert (
        await pool.fetchval("SELECT status FROM catalogue.tracks WHERE id = $1", song.track_id) == "deleted"
    )
    refused: list[Any] = [
        edits.edit(EditTrack(track_id=song.track_id, title="x")),
        job_queries.request_analysis(RequestTrackAnalysis(track_id=song.track_id)),
        BundleQueries(pool, objects).get_bundle(GetBundle(track_id=song.track_id, version=1)),
    ]
    for call in refused:
        with pytest.raises(QueryError) as caught:
            await call
        assert (caught.value.code, caught.value.status) == ("track_deleted", 409)


async def test_whoever_has_the_token_can_undo_for_thirty_seconds(
    edits: TrackEdits, job_events: JobEventHandlers, objects: ObjectStore, clock: Clock
) -> None:
    """Afterwards, and with another token, an editor is needed; the track is then as it was."""
    song = await analyse(job_events, objects)
    before = await edits.tracks.get_track(GetTrack(track_id=song.track_id))
    token = (await edits.delete(DeleteTrack(track_id=song.track_id))).undo_token
    other = (await edits.delete(DeleteTrack(track_id=song.track_id))).undo_token
    with acting_as(ann("viewer")):
        for wrong in (None, "x" * 32):
            with pytest.raises(RoleError):
                await edits.restore(RestoreTrack(track_id=song.track_id, undo_token=wrong))
        clock.forward(timedelta(seconds=30))
        restored = await edits.restore(RestoreTrack(track_id=song.track_id, undo_token=token))
        assert (restored.restored, restored.status) == (True, "ready")
        after = await edits.tracks.get_track(GetTrack(track_id=song.track_id))
        same = {"updated_at", "deleted_at"}
        assert after.track.model_dump(exclude=same) == before.track.model_dump(exclude=same)
        assert not (await edits.restore(RestoreTrack(track_id=song.track_id))).restored
    await edits.delete(DeleteTrack(track_id=song.track_id))
    with acting_as(ann("viewer")), pytest.raises(RoleError):
        await edits.restore(RestoreTrack(track_id=song.track_id, undo_token=other))
    clock.forward(timedelta(days=29))
    with acting_as(ann("editor")):
        assert (await edits.restore(RestoreTrack(track_id=song.track_id))).restored


async def test_an_analysis_that_the_deletion_cancelled_starts_again(
    edits: TrackEdits, job_events: JobEventHandlers, pool: Pool
) -> None:
    """A restored song without a map is analysed; one that failed on its own is not."""
    song, broken = await upload(job_events), await upload(job_events, 1)
    await job_events.handle_failed(message(broken.failed()))
    for each in (song, broken):
        await edits.delete(DeleteTrack(track_id=each.track_id))
        await edits.restore(RestoreTrack(track_id=each.track_id))
    rows = await pool.fetch("SELECT track_id FROM catalogue.versions WHERE version = 2")
    assert [row["track_id"] for row in rows] == [song.track_id]
