"""Tests of actions on many tracks, with real stores."""

import pytest

from k1_catalogue.edits.batch import TrackBatches
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_contracts.actors import Actor
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.track_edits import BatchTracks
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from services.catalogue.tests.song_samples import Song, upload


@pytest.fixture
async def songs(job_events: JobEventHandlers) -> list[Song]:
    return [await upload(job_events, number, tags=["old"]) for number in range(3)]


async def test_each_track_has_its_own_result(batches: TrackBatches, songs: list[Song], pool: Pool) -> None:
    """One that fails does not stop the others; a track that is named twice counts once."""
    missing = new_id("trk")
    ids = [songs[0].track_id, missing, songs[1].track_id, songs[0].track_id]
    tagged = await batches.run_batch(BatchTracks(action="tag", track_ids=ids, tags=["new", "old"]))
    assert [(item.track_id, item.status, item.code) for item in tagged.items] == [
        (songs[0].track_id, "done", None),
        (missing, "failed", "track_not_found"),
        (songs[1].track_id, "done", None),
    ]
    assert tagged.failed == 1
    again = await batches.run_batch(BatchTracks(action="tag", track_ids=ids[:1], tags=["new"]))
    assert again.items[0].status == "unchanged"
    await batches.run_batch(BatchTracks(action="untag", track_ids=ids[2:], tags=["old"]))
    await batches.run_batch(BatchTracks(action="set_preset", track_ids=ids, preset="jazz"))
    rows = await pool.fetch("SELECT tags, preset FROM catalogue.tracks ORDER BY created_at")
    assert [tuple(row) for row in rows] == [(["new"], "jazz"), (["new"], "jazz"), (["old"], None)]


async def test_deleted_restored_and_analysed(batches: TrackBatches, songs: list[Song], pool: Pool) -> None:
    """A deletion has a token for each track; an analysis its job and version."""
    ids = [song.track_id for song in songs]
    deleted = await batches.run_batch(BatchTracks(action="delete", track_ids=ids))
    assert len({item.undo_token for item in deleted.items}) == 3
    refused = await batches.run_batch(BatchTracks(action="analyse", track_ids=ids))
    assert {item.code for item in refused.items} == {"track_deleted"}
    restored = await batches.run_batch(BatchTracks(action="restore", track_ids=ids))
    assert [item.status for item in restored.items] == ["done"] * 3
    analysed = await batches.run_batch(BatchTracks(action="analyse", track_ids=ids))
    assert [item.version for item in analysed.items] == [3, 3, 3]
    assert await pool.fetchval("SELECT count(*) FROM catalogue.tracks WHERE status = 'deleted'") == 0


async def test_the_same_key_gets_the_same_result(
    batches: TrackBatches, songs: list[Song], pool: Pool
) -> None:
    """Nothing is done twice, also if the first request ended before its result was kept; another request is refused."""
    query = BatchTracks(action="analyse", track_ids=[song.track_id for song in songs], idempotency_key="k")
    first = await batches.run_batch(query)
    assert await batches.run_batch(query) == first
    await pool.execute("UPDATE catalogue.batches SET result = NULL")
    assert await batches.run_batch(query) == first
    assert await pool.fetchval("SELECT max(version) FROM catalogue.versions") == 2
    with pytest.raises(QueryError) as caught:
        await batches.run_batch(query.model_copy(update={"action": "delete"}))
    assert (caught.value.code, caught.value.status) == ("idempotency_key_reused", 422)
    with acting_as(Actor(kind="user", id="usr_2", name="Ben", role="editor")):
        assert await batches.run_batch(query) != first


async def test_a_batch_of_tags_needs_tags(batches: TrackBatches, songs: list[Song]) -> None:
    """Too many tags for a track fail for this track alone."""
    with pytest.raises(QueryError, match="tags"):
        await batches.run_batch(BatchTracks(action="tag", track_ids=[songs[0].track_id]))
    tags = [f"tag {number}" for number in range(32)]
    result = await batches.run_batch(BatchTracks(action="tag", track_ids=[songs[0].track_id], tags=tags))
    assert result.items[0].code == "invalid_edit"
