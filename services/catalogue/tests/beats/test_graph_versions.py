"""Graphs that are saved as new versions, with real stores and a worker in this process."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from k1_catalogue.beats.editor import BeatEditor
from k1_catalogue.beats.graph_versions import GraphVersions
from k1_catalogue.beats.queries import BeatQueries
from k1_catalogue.graphs.queries import GraphQueries
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts.actors import Actor
from k1_contracts.messages.catalogue.beats import GetBeatOverride, RemoveBeatOverride, SaveBeatOverride
from k1_contracts.messages.catalogue.graph_edits import GraphEdited, SaveGraphVersion
from k1_contracts.messages.catalogue.graphs import GetGraph, PutGraph
from k1_contracts.messages.catalogue.tracks import Artefact, GetTrack, GetVersion
from k1_graph.bundle.container import key_id, read_bundle
from k1_platform.auth.signing import KeyRing
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.beat_worker import BeatWorker
from services.catalogue.tests.beats.test_beat_overrides import ADA, LATER, counted, refused
from services.catalogue.tests.graph_samples import GRAPH, edited_graph
from services.catalogue.tests.song_samples import Song

BEN = Actor(kind="user", id="usr_ben", name="Ben", role="editor")
SHOW = ("graph.json", "visual.report.json", "preview.bin", "bundle.k1b")


def new_version(song: Song, version: int = 1, **fields: Any) -> SaveGraphVersion:
    given: dict[str, Any] = {"graph": edited_graph(500)} | fields
    return SaveGraphVersion(track_id=song.track_id, version=version, **given)


async def artefacts(track_queries: TrackQueries, song: Song, version: int) -> dict[str, Artefact]:
    """Return the artefacts of a version by name."""
    found = await track_queries.list_artefacts(GetVersion(track_id=song.track_id, version=version))
    return {each.name: each for each in found.artefacts}


async def test_a_graph_becomes_a_version_that_is_ready(
    *,
    graph_versions: GraphVersions, graphs: GraphQueries, track_queries: TrackQueries, song: Song, pool: Pool,
    keys: KeyRing, objects: ObjectStore,
) -> None:  # fmt: skip
    """It has the map of the version before, its own show and a bundle signed for it; the version before stays as it was."""
    before = await artefacts(track_queries, song, 1)
    with acting_as(BEN):
        saved = await graph_versions.save(new_version(song))
    assert (saved.version, saved.base_version, saved.previous_version, saved.status) == (2, 1, 1, "ready")
    assert (saved.validation.ok, [warning.code for warning in saved.warnings]) == (True, ["quiet"])
    assert saved.estimate.est_ms > 0
    detail = await track_queries.get_track(GetTrack(track_id=song.track_id))
    assert (detail.track.current_version, detail.beat_override) == (2, None)
    assert detail.versions[0].summary == detail.versions[1].summary
    edit = detail.versions[0].edit
    assert edit is not None
    assert edit.graph is not None
    assert (edit.previous_version, edit.beats.moved, detail.versions[1].edit) == (1, 0, None)
    assert edit.graph.model_dump() == {
        "nodes_added": 0, "nodes_removed": 0, "nodes_changed": 1, "edges_added": 0, "edges_removed": 0,
    }  # fmt: skip
    assert (await track_queries.get_version(GetVersion(track_id=song.track_id, version=2))).edit == edit
    found = await artefacts(track_queries, song, 2)
    assert found["track.genesis.json"].sha256 == before["track.genesis.json"].sha256
    assert found["graph.json"].inline_json == edited_graph(500)
    assert all(found[name].sha256 not in {None, before[name].sha256} for name in SHOW)
    impact = found["graph.impact.json"].inline_json or {}
    assert (impact["against"], impact["changed_params"][0]["to"]) == ("version 1", 500)
    data = await objects.get_bytes(f"graphs/{found['bundle.k1b'].sha256}/bundle.k1b")
    bundle = read_bundle(data, {key_id(key): key for key in keys.public})
    assert (bundle.manifest.track_version, bundle.graph.nodes[1].params) == (2, {"decay_ms": 500})
    after = await artefacts(track_queries, song, 1)
    assert {name: each.sha256 for name, each in after.items()} == {
        name: each.sha256 for name, each in before.items()
    }
    held = await graphs.get_graph(GetGraph(track_id=song.track_id, version=2))
    assert (held.graph, held.source, held.revision, held.etag) == (edited_graph(500), "edited", 1, saved.etag)
    first = await graphs.get_graph(GetGraph(track_id=song.track_id, version=2, source="recommended"))
    assert first.graph == GRAPH
    row = await pool.fetchrow("SELECT subject, headers, body FROM catalogue.outbox ORDER BY id DESC LIMIT 1")
    assert row is not None
    event = GraphEdited.model_validate_json(row["body"])
    assert (row["subject"], event.version, event.previous_version, event.etag) == (
        "graph.edited", 2, 1, saved.etag,
    )  # fmt: skip
    assert json.loads(json.loads(row["headers"])["ce-actor"])["id"] == BEN.id
    line = await pool.fetchrow(
        "SELECT actor ->> 'name', action, detail FROM catalogue.track_events ORDER BY id DESC LIMIT 1"
    )
    assert line is not None
    text = "version 2 from version 1: 1 node changed"
    assert tuple(line) == ("Ben", "graph edited", text)


async def test_beats_that_a_person_set_stay_theirs(
    *,
    graph_versions: GraphVersions, editor: BeatEditor, beats: BeatQueries, graphs: GraphQueries,
    track_queries: TrackQueries, song: Song,
) -> None:  # fmt: skip
    """The new version is in the line of the analysis, with the author of its beats; both edits live on in the next one."""
    with acting_as(ADA):
        overridden = await editor.save(
            SaveBeatOverride(track_id=song.track_id, version=1, beats_ms=LATER, note="late")
        )
    with acting_as(BEN):
        saved = await graph_versions.save(new_version(song, 2))
    assert (saved.version, saved.base_version, saved.previous_version) == (3, 1, 2)
    shown = await beats.get_override(GetBeatOverride(track_id=song.track_id, version=3))
    assert (shown.beats_ms, shown.base_version, shown.latest_version) == (LATER, 1, 3)
    assert shown.override is not None
    assert (shown.override.author.name, shown.override.note) == ("Ada", "late")
    badge = (await track_queries.get_track(GetTrack(track_id=song.track_id))).beat_override
    assert badge is not None
    assert (badge.version, badge.author.name) == (3, "Ada")
    versions = (await track_queries.get_track(GetTrack(track_id=song.track_id))).versions
    edits = [each.edit for each in versions if each.edit and each.edit.graph]
    assert [(edit.previous_version, edit.beats.moved) for edit in edits] == [(2, len(LATER)), (1, len(LATER))]
    assert [edit.graph.nodes_changed for edit in edits if edit.graph] == [1, 0]
    name = "graph.analysis.beat_override.json"
    documents = [(await artefacts(track_queries, song, version))[name] for version in (2, 3)]
    assert documents[0].sha256 == documents[1].sha256 is not None
    stale = SaveBeatOverride(
        track_id=song.track_id, version=2, beats_ms=LATER[:-1], if_match=[overridden.etag]
    )
    assert await refused(editor.save(stale)) == ("override_changed", 412)
    back = await editor.remove(RemoveBeatOverride(track_id=song.track_id, version=3, if_match=[shown.etag]))
    assert (back.version, back.base_version) == (4, 1)
    kept = await graphs.get_graph(GetGraph(track_id=song.track_id, version=4))
    assert kept.graph == edited_graph(500)


async def test_a_graph_that_cannot_be_saved_changes_nothing(
    graph_versions: GraphVersions, graphs: GraphQueries, worker: BeatWorker, song: Song, pool: Pool
) -> None:
    """A broken graph, an old tag, an edit during the run, a worker that fails, a bundle that cannot be made."""
    old = (await graphs.get_graph(GetGraph(track_id=song.track_id, version=1))).etag
    await graphs.put_graph(PutGraph(track_id=song.track_id, version=1, graph=edited_graph(700)))
    tag = (await graphs.get_graph(GetGraph(track_id=song.track_id, version=1))).etag

    async def fail() -> None:
        raise QueryError("simulation_failed", "The process died.", 503)

    before = await counted(pool)
    broken = graph_versions.save(new_version(song, graph=edited_graph(-5)))
    assert await refused(broken) == ("graph_invalid", 422)
    assert await refused(graph_versions.save(new_version(song, if_match=[old]))) == ("graph_changed", 412)
    assert worker.queries == []
    worker.before_response = fail
    assert await refused(graph_versions.save(new_version(song))) == ("simulation_failed", 503)
    assert await counted(pool) == before

    async def edit() -> None:
        worker.before_response = None
        await graphs.put_graph(PutGraph(track_id=song.track_id, version=1, graph=edited_graph(900)))

    worker.before_response = edit
    assert await refused(graph_versions.save(new_version(song, if_match=[tag]))) == ("graph_changed", 412)
    assert await pool.fetchval("SELECT count(*) FROM catalogue.versions") == 1


async def test_a_bundle_that_cannot_be_made_changes_nothing(
    graph_versions: GraphVersions, song: Song, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version of a graph is there for its show, so it is not made without a bundle."""
    before = await counted(pool)
    monkeypatch.setattr("k1_graph.bundle.container.BUNDLE_MAX_BYTES", 10)
    assert await refused(graph_versions.save(new_version(song))) == ("bundle_failed", 422)
    assert await counted(pool) == before


async def test_a_repeated_request_makes_one_version(
    graph_versions: GraphVersions, editor: BeatEditor, song: Song, pool: Pool
) -> None:
    """At once and one after the other; the key of another request is refused, that of an override of beats too."""
    save: Callable[[], Awaitable[object]] = lambda: graph_versions.save(  # noqa: E731  said three times
        new_version(song, idempotency_key="one")
    )
    first, second = await asyncio.gather(save(), save())
    assert first == second == await save()
    assert await pool.fetchval("SELECT count(*) FROM catalogue.versions") == 2
    other = new_version(song, graph=edited_graph(900), idempotency_key="one")
    assert await refused(graph_versions.save(other)) == ("idempotency_key_reused", 422)
    beats = SaveBeatOverride(track_id=song.track_id, version=1, beats_ms=LATER, idempotency_key="one")
    assert await refused(editor.save(beats)) == ("idempotency_key_reused", 422)
