"""Every change that a person makes to a track or an artefact is announced on the bus, in the transaction of the change."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from k1_catalogue.artefacts.deletions import ArtefactDeletions
from k1_catalogue.edits.batch import TrackBatches
from k1_catalogue.edits.track_edits import TrackEdits
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_contracts.actors import Actor
from k1_contracts.documents.registry import MESSAGES
from k1_contracts.messages.catalogue.storage import DeleteArtefact, RestoreArtefact
from k1_contracts.messages.catalogue.track_edits import BatchTracks, DeleteTrack, EditTrack, RestoreTrack
from k1_contracts.messages.catalogue.tracks import GetTrack
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.conftest import Clock
from services.catalogue.tests.song_samples import Song, analyse

ANN = Actor(kind="user", id="usr_1", name="Ann", role="editor", address="10.0.0.7")
MODELS = {message.subject: message.model for message in MESSAGES}


async def announced(pool: Pool, subjects: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return type and data of the events of these types, in order.

    Each is valid, has an id of its own and Ann with her id as the actor, as has the event of the history, which comes from
    the same transaction.
    """
    rows = await pool.fetch(
        """
        SELECT o.subject, o.headers, o.body, e.id AS history, e.actor FROM catalogue.outbox AS o
        LEFT JOIN catalogue.track_events AS e ON e.xmin = o.xmin WHERE o.subject = ANY($1) ORDER BY o.id
        """,
        list(subjects),
    )
    headers = [json.loads(row["headers"]) for row in rows]
    assert all(Actor.model_validate_json(each["ce-actor"]) == ANN for each in headers)
    assert {json.loads(row["actor"])["id"] for row in rows} == {ANN.id}
    assert len({each["Nats-Msg-Id"] for each in headers}) == len(rows)
    assert len({row["history"] for row in rows} - {None}) == len(rows)
    for row in rows:
        MODELS[row["subject"]].model_validate_json(row["body"])
    return [(row["subject"], json.loads(row["body"])) for row in rows]


@pytest.fixture
async def song(job_events: JobEventHandlers, objects: ObjectStore) -> Song:
    return await analyse(job_events, objects)


async def test_edits_deletions_and_restorations_are_announced(
    *, edits: TrackEdits, batches: TrackBatches, pool: Pool, song: Song, clock: Clock
) -> None:
    """Also those of a batch. What changes nothing, or is refused, is not announced."""
    track_id = song.track_id
    with acting_as(ANN):
        await edits.edit(EditTrack(track_id=track_id, title="Nacht", notes="# Cue", current_version=1))
        await edits.edit(EditTrack(track_id=track_id, title="Nacht"))
        with pytest.raises(QueryError):
            await edits.edit(EditTrack(track_id=track_id, title="Tag", if_match=["99"]))
        await batches.run_batch(BatchTracks(action="tag", track_ids=[track_id], tags=["a"]))
        await edits.delete(DeleteTrack(track_id=track_id))
        await edits.delete(DeleteTrack(track_id=track_id))
        clock.forward(timedelta(hours=1))
        await edits.restore(RestoreTrack(track_id=track_id, reason="uploaded again"))
        await edits.restore(RestoreTrack(track_id=track_id))
        await batches.run_batch(BatchTracks(action="delete", track_ids=[track_id]))
        await batches.run_batch(BatchTracks(action="restore", track_ids=[track_id]))
        await edits.edit(EditTrack(track_id=track_id, clear=["current_version", "notes"]))
    events = await announced(pool, ["track.edited", "track.deleted", "track.restored"])
    assert [(subject.partition(".")[2], data.get("changed")) for subject, data in events] == [
        ("edited", ["title", "notes", "current_version"]),
        ("edited", ["tags"]),
        ("deleted", None),
        ("restored", None),
        ("deleted", None),
        ("restored", None),
        ("edited", ["notes", "current_version"]),
    ]
    assert [data["revision"] for _, data in events] == list(range(2, 9))
    datas = [data for _, data in events]
    assert {data["track_id"] for data in datas} == {track_id}
    await _assert_as_in_the_history(pool, track_id, events)
    track = (await edits.tracks.get_track(GetTrack(track_id=track_id))).track
    assert {name: datas[-1].get(name) for name in ("title", "artist", "tags", "status")} == {
        "title": "Nacht", "artist": track.artist, "tags": ["a"], "status": track.status,
    }  # fmt: skip
    assert (datas[2]["deleted_at"], datas[2]["purge_at"]) == (
        "2026-03-01T12:00:00.000Z",
        "2026-03-31T12:00:00.000Z",
    )
    assert [(data["reason"], data["status"]) for data in (datas[3], datas[5])] == [
        ("uploaded again", track.status),
        ("restored", track.status),
    ]


async def _assert_as_in_the_history(
    pool: Pool, track_id: str, events: Sequence[tuple[str, dict[str, Any]]]
) -> None:
    """The history has the same changes in the same order, with the values before; those after are the event's."""
    rows = await pool.fetch(
        "SELECT e.before, e.after FROM catalogue.track_events AS e JOIN catalogue.outbox AS o ON o.xmin = e.xmin"
        " WHERE e.track_id = $1 AND o.subject LIKE 'track.%' AND o.subject <> 'track.uploaded' ORDER BY e.id",
        track_id,
    )
    held: dict[str, Any] = {}
    for row, (subject, data) in zip(rows, events, strict=True):
        before, after = (json.loads(row[side])["track"] for side in ("before", "after"))
        assert after["revision"] == data["revision"] == before["revision"] + 1
        assert {name: before[name] for name in held.keys() & before.keys()} == {
            name: held[name] for name in held.keys() & before.keys()
        }
        held |= after
        if subject == "track.edited":
            shown = set(data["changed"]) - {"notes", "current_version"}
            assert {name: after[name] for name in shown} == {name: data[name] for name in shown}
        else:
            assert (after["deleted_at"] is None) == (subject == "track.restored")


async def test_deleted_and_restored_artefacts_are_announced(pool: Pool, song: Song, clock: Clock) -> None:
    """Each time, and once: a restoration of what is there says nothing."""
    deletions = ArtefactDeletions(pool, clock, timedelta(days=30))
    artefact = await pool.fetchval("SELECT id FROM catalogue.artefacts WHERE type = 'metrics'")
    where = {"track_id": song.track_id, "version": 1, "artefact_id": artefact}
    with acting_as(ANN):
        for _ in range(2):
            await deletions.delete(DeleteArtefact(**where))
            await deletions.restore(RestoreArtefact(**where))
            await deletions.restore(RestoreArtefact(**where))
            clock.forward(timedelta(minutes=1))
    events = await announced(pool, ["artefact.deleted", "artefact.restored"])
    assert [subject for subject, _ in events] == ["artefact.deleted", "artefact.restored"] * 2
    assert all(data.items() >= {**where, "type": "metrics"}.items() for _, data in events)
    assert events[0][1]["restorable_until"] == "2026-03-31T12:00:00.000Z"
