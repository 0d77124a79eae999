"""Tests of the events of tracks: complete, in order, with who did it, and enough to rebuild the tables."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k1_catalogue.edits.batch import TrackBatches
from k1_catalogue.edits.purge import Purger
from k1_catalogue.edits.track_edits import PURGE_AFTER, TrackEdits
from k1_catalogue.history.changes import TrackRows
from k1_catalogue.history.queries import HistoryQueries
from k1_catalogue.history.store import rows_at
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.queries import JobQueries
from k1_catalogue.tracks.queries import TrackQueries
from k1_catalogue.tracks.rebuild_store import rebuild_totals, rebuild_tracks
from k1_catalogue.tracks.upload_handlers import TrackUploadHandlers
from k1_contracts.actors import Actor
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import GetJob, RequestTrackAnalysis
from k1_contracts.messages.catalogue.track_edits import BatchTracks, DeleteTrack, EditTrack, RestoreTrack
from k1_contracts.messages.catalogue.track_history import CompareVersions, GetHistory
from k1_contracts.messages.catalogue.track_uploads import TrackCreated, TrackUploadAbandoned
from k1_contracts.messages.catalogue.tracks import GetTrack
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.conftest import Clock
from services.catalogue.tests.job_tables import insert_reanalysis
from services.catalogue.tests.song_samples import UPLOADED, Song, analyse, genesis, message, upload
from tests.support.database import empty_tables

ANN = Actor(kind="user", id="usr_1", name="Ann", role="admin", address="10.0.0.7")


async def table_rows(pool: Pool) -> dict[str, TrackRows]:
    """Return the rows of each track as the tables have them, as JSON without derived columns."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL timezone = 'UTC'")
        found = {
            table: [
                json.loads(row["content"])
                for row in await connection.fetch(
                    f"SELECT to_jsonb(t) - '{{search,title_key}}'::text[] AS content FROM catalogue.{table} AS t"
                )
            ]
            for table in ("tracks", "versions", "jobs")
        }
    return {
        track["id"]: TrackRows(
            track,
            {str(row["version"]): row for row in found["versions"] if row["track_id"] == track["id"]},
            {row["id"]: row for row in found["jobs"] if row["track_id"] == track["id"]},
        )
        for track in found["tracks"]
    }


async def replayed_rows(pool: Pool) -> dict[str, TrackRows]:
    """Return the rows of each track as its events say."""
    tracks = await pool.fetch("SELECT DISTINCT track_id FROM catalogue.track_events")
    async with pool.acquire() as connection:
        rows = {row["track_id"]: await rows_at(connection, row["track_id"]) for row in tracks}
    return {track_id: found for track_id, found in rows.items() if found.track is not None}


async def test_each_event_says_who_did_what(
    edits: TrackEdits, job_events: JobEventHandlers, pool: Pool, objects: ObjectStore
) -> None:
    """The history is newest first, in pages, with before and after; services act by their name."""
    song = await analyse(job_events, objects)
    with acting_as(ANN):
        await edits.edit(EditTrack(track_id=song.track_id, title="Mine"))
        await edits.delete(DeleteTrack(track_id=song.track_id))
    history = HistoryQueries(pool)
    first = await history.get_history(GetHistory(track_id=song.track_id, limit=3))
    rest = await history.get_history(GetHistory(track_id=song.track_id, limit=3, cursor=first.next_cursor))
    events = [*first.items, *rest.items]
    assert [(event.action, event.actor.name) for event in events] == [
        ("deleted", "Ann"),
        ("edited", "Ann"),
        ("completed", "service:analysis"),
        ("uploaded", "service:ingest"),
    ]
    assert (first.total, rest.next_cursor) == (4, None)
    edited = events[1]
    assert edited.before is not None
    assert edited.after is not None
    assert (edited.before["track"]["title"], edited.after["track"]["title"]) == ("Night Drive", "Mine")
    assert set(edited.after) == {"track"}
    assert (edited.actor.address, edited.detail) == ("10.0.0.7", "title")
    assert events[3].before == {"track": None, "versions": {"1": None}, "jobs": {song.job_id: None}}
    for query, code in (
        (GetHistory(track_id=new_id("trk")), "track_not_found"),
        (GetHistory(track_id=song.track_id, cursor="x"), "invalid_cursor"),
    ):
        with pytest.raises(QueryError) as caught:
            await history.get_history(query)
        assert caught.value.code == code


async def test_a_track_as_it_was(
    edits: TrackEdits,
    job_events: JobEventHandlers,
    pool: Pool,
    objects: ObjectStore,
    track_queries: TrackQueries,
) -> None:
    """At each event, the track had the values that it left."""
    song = await upload(job_events)
    await job_events.handle_completed(message(await song.analysed(objects)))
    await edits.edit(EditTrack(track_id=song.track_id, title="Mine"))
    await edits.delete(DeleteTrack(track_id=song.track_id))
    times = [
        row["recorded_at"]
        for row in await pool.fetch(
            "SELECT recorded_at FROM catalogue.track_events WHERE after IS NOT NULL ORDER BY id"
        )
    ]

    async def at(time: datetime) -> tuple[Any, ...]:
        found = await track_queries.get_track(GetTrack(track_id=song.track_id, at=time))
        return (
            found.track.title,
            found.track.status,
            found.track.bpm,
            [each.status for each in found.versions],
        )

    assert [await at(time) for time in times] == [
        ("Night Drive", "processing", None, ["processing"]),
        ("Night Drive", "ready", 128.0, ["ready"]),
        ("Mine", "ready", 128.0, ["ready"]),
        ("Mine", "deleted", 128.0, ["ready"]),
    ]
    assert await at(times[-1] + timedelta(days=900)) == await at(times[-1])
    with pytest.raises(QueryError) as caught:
        await at(times[0] - timedelta(seconds=1))
    assert caught.value.code == "history_unavailable"


async def test_a_change_that_no_code_describes_is_an_event_too(
    job_events: JobEventHandlers, pool: Pool
) -> None:
    """A statement by hand, on many rows at once, cannot escape; one that changes nothing makes no event."""
    for number in range(3):
        await upload(job_events, number)
    await pool.execute("UPDATE catalogue.tracks SET title = title")
    assert await pool.fetchval("SELECT count(*) FROM catalogue.track_events") == 3
    await pool.execute("UPDATE catalogue.tracks SET notes = 'x'")
    await pool.execute("UPDATE catalogue.jobs SET priority = 1")
    assert await pool.fetchval("SELECT count(*) FROM catalogue.track_events WHERE action = 'changed'") == 6
    assert await replayed_rows(pool) == await table_rows(pool)
    assert await pool.fetchval("SELECT count(*) FROM catalogue.track_changes") == 0


async def test_a_transaction_that_is_rolled_back_leaves_no_event(
    job_events: JobEventHandlers, pool: Pool
) -> None:
    song = await upload(job_events)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE catalogue.tracks SET title = 'x' WHERE id = $1", song.track_id)
        await transaction.rollback()
    assert await pool.fetchval("SELECT count(*) FROM catalogue.track_events") == 1


async def test_versions_are_compared(
    job_events: JobEventHandlers, pool: Pool, objects: ObjectStore, track_queries: TrackQueries
) -> None:
    """Figures that differ and beats that moved, are new or are gone; by default against the version before."""
    song = await analyse(job_events, objects)
    again = await insert_reanalysis(pool, song)
    content = genesis(seed=2, f_measure=0.7)
    rhythm = content["layers"]["rhythm"]
    beats = rhythm["beat_grid_ms"]
    rhythm["beat_grid_ms"] = [beats[0], beats[1] + 20, *beats[2:-2], beats[-2] + 200, beats[-1]]
    rhythm["downbeat_ms"] = beats[4::4]
    await job_events.handle_completed(message(await again.analysed(objects, content)))
    found = await track_queries.compare_versions(CompareVersions(track_id=song.track_id, version=2))
    assert found.with_version == 1
    assert [(each.name, each.before, each.after, each.delta) for each in found.metrics] == [
        ("f_measure", 0.95, 0.7, -0.25)
    ]
    assert [(each.before_ms, each.delta_ms) for each in found.beats.moved] == [(beats[1], 20.0)]
    assert (found.beats.removed, found.beats.added) == ([beats[-2]], [beats[-2] + 200])
    assert found.beats.unchanged == len(beats) - 2
    assert found.downbeats.removed == [beats[0]]
    with pytest.raises(QueryError) as caught:
        await track_queries.compare_versions(CompareVersions(track_id=song.track_id, version=1))
    assert caught.value.code == "version_not_found"


OPERATIONS = (
    "upload", "start", "complete", "fail", "cancel", "request", "edit", "choose", "delete", "restore",
    "batch", "purge", "cancel job", "rebuild", "expect", "arrive", "abandon", "edit expected",
)  # fmt: skip


EXPECTING = OPERATIONS[-4:]


def _created(song: Song) -> TrackCreated:
    return TrackCreated(
        track_id=song.track_id, title="Soon", created_at=UPLOADED, expires_at=UPLOADED + timedelta(hours=1)
    )


def _abandoned(song: Song) -> TrackUploadAbandoned:
    return TrackUploadAbandoned(track_id=song.track_id, reason="expired", at=UPLOADED)


async def test_the_replay_of_all_events_gives_the_tables(
    *,
    edits: TrackEdits,
    batches: TrackBatches,
    purger: Purger,
    job_events: JobEventHandlers,
    job_queries: JobQueries,
    objects: ObjectStore,
    clock: Clock,
) -> None:
    """Whatever people and services do, in any order: the fold of the events equals the rows, also after a rebuild."""
    pool = edits.pool
    loop = asyncio.get_running_loop()

    expecting = TrackUploadHandlers(pool)

    async def expect(name: str, number: int, songs: list[Song], expected: list[Song]) -> None:
        """Do something about a track that waits for its song."""
        if name == "expect":
            expected.append(song := Song())
            await expecting.handle_created(message(_created(song)))
        elif name == "abandon":
            known = [*songs, *expected]  # a song that has arrived stays
            abandoned = known[-1 - number % len(known)]
            await expecting.handle_abandoned(message(_abandoned(abandoned), number=number))
            if abandoned in expected:
                expected.remove(abandoned)
        elif expected and name == "arrive":
            songs.append(song := expected.pop())
            await job_events.handle_track_uploaded(message(song.uploaded()))
        elif expected:
            await edits.edit(EditTrack(track_id=expected[-1].track_id, title="Mine"))

    async def operate(name: str, number: int, songs: list[Song]) -> None:  # noqa: PLR0912  one case each
        song = songs[number % len(songs)]
        track_id = song.track_id
        match name:
            case "upload":
                songs.append(await upload(job_events, len(songs)))
            case "start":
                await job_events.handle_started(message(song.started(1 + number)))
            case "complete":
                content = genesis(seconds=5, seed=number)
                await job_events.handle_completed(message(await song.analysed(objects, content)))
            case "fail":
                await job_events.handle_failed(message(song.failed(), number=number))
            case "cancel":
                await job_events.handle_cancelled(message(song.cancelled(), number=number))
            case "request":
                accepted = await job_queries.request_analysis(RequestTrackAnalysis(track_id=track_id))
                songs.append(song.reanalysis(accepted.job_id, accepted.version))
            case "edit":
                await edits.edit(EditTrack(track_id=track_id, title=f"Title {number}", clear=["artist"]))
            case "choose":
                await edits.edit(EditTrack(track_id=track_id, current_version=1 + number))
            case "delete":
                await edits.delete(DeleteTrack(track_id=track_id))
            case "restore":
                await edits.restore(RestoreTrack(track_id=track_id))
            case "batch":
                await batches.run_batch(BatchTracks(action="set_preset", track_ids=[track_id], preset="jazz"))
            case "purge":
                clock.forward(PURGE_AFTER + timedelta(seconds=1))
                await purger.purge_due()
            case "cancel job":
                await job_queries.cancel_job(GetJob(job_id=song.job_id))
            case _:
                await rebuild_tracks(pool)

    async def run(operations: list[tuple[str, int]]) -> None:
        await empty_tables(pool, "catalogue")
        songs, expected = [await upload(job_events)], list[Song]()
        for name, number in operations:
            with acting_as(ANN if number % 2 else None):
                try:
                    if name in EXPECTING:
                        await expect(name, number, songs, expected)
                    else:
                        await operate(name, number, songs)
                except QueryError:
                    continue
        expected = await table_rows(pool)
        assert await replayed_rows(pool) == expected
        await rebuild_tracks(pool)
        counted = await totals(pool)
        async with pool.acquire() as connection:
            await rebuild_totals(connection)
        assert (await table_rows(pool), await totals(pool)) == (expected, counted)

    operation = st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 3))

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        database=None,
    )
    @given(st.lists(operation, min_size=5, max_size=25))
    def examples(operations: list[tuple[str, int]]) -> None:
        asyncio.run_coroutine_threadsafe(run(operations), loop).result()

    await asyncio.to_thread(examples)


async def totals(pool: Pool) -> dict[tuple[str, str, str], int]:
    rows = await pool.fetch("SELECT kind, status, preset, n FROM catalogue.totals WHERE n <> 0")
    return {(row["kind"], row["status"], row["preset"]): row["n"] for row in rows}
