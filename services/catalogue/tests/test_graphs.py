"""Graphs of versions on real stores: kept, edited, simulated, compared and signed."""

import asyncio
import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from k1_catalogue.graphs import Graphs
from k1_catalogue.intake import Intake
from k1_catalogue.questions import Questions
from k1_catalogue.reference import Reference
from k1_catalogue.show_files import ShowFiles
from k1_contracts.graph import GraphImpact
from k1_contracts.graph_queries import (
    GetGraph,
    GraphSaved,
    ListKeys,
    ListNodes,
    PutGraph,
    Simulate,
)
from k1_contracts.queries import Artefact, GetVersion
from k1_graph.bundle.container import BundleContents, key_id, read_bundle
from k1_graph.node_types.definitions import load_node_types
from k1_platform.database import Pool
from k1_platform.objects import ObjectStore
from k1_platform.rpc import AnswerError
from k1_platform.signing import KeyRing, add_key, ensure_key, load_keys
from services.catalogue.tests.conftest import NOW, PATIENCE_S
from services.catalogue.tests.graphs import GRAPH, Worker, edited
from services.catalogue.tests.songs import Song, event, genesis
from services.catalogue.tests.test_intake import reanalysis, state

RUN = {"graph.executor.scale.json", "visual.report.json", "preview.png", "preview.bin", "bundle.k1b"}


@pytest.fixture
def worker(objects: ObjectStore) -> Worker:
    return Worker(objects)


@pytest.fixture
def graphs(pool: Pool, objects: ObjectStore, shows: ShowFiles, worker: Worker) -> Graphs:
    return Graphs(pool, objects, shows, worker.run, lambda: NOW)


@pytest.fixture
async def song(intake: Intake, objects: ObjectStore) -> Song:
    """A song that was analysed, with a graph."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    await intake.analysis_completed(event(await song.analysed(objects, graph=GRAPH)))
    return song


async def listed(questions: Questions, song: Song) -> dict[str, Artefact]:
    """The artefacts of the song's version by name."""
    answer = await questions.list_artefacts(GetVersion(track_id=song.track_id, version=song.version))
    return {artefact.name: artefact for artefact in answer.artefacts}


async def impact_of(questions: Questions, song: Song) -> GraphImpact:
    return GraphImpact.model_validate((await listed(questions, song))["graph.impact.json"].inline_json)


async def bundle_of(questions: Questions, song: Song, keys: KeyRing) -> BundleContents:
    url = (await listed(questions, song))["bundle.k1b"].url
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        data = (await http.get(url or "")).content
    return read_bundle(data, {key_id(key): key for key in keys.public})


def put(song: Song, graph: Any, *tags: str) -> PutGraph:
    return PutGraph(
        track_id=song.track_id, version=song.version, graph=graph, if_match=list(tags) if tags else None
    )


def get(song: Song) -> GetGraph:
    return GetGraph(track_id=song.track_id, version=song.version)


async def audit(pool: Pool, song: Song) -> list[str]:
    rows = await pool.fetch(
        "SELECT action, detail FROM catalogue.audit WHERE track_id = $1 AND action LIKE 'graph%' ORDER BY id",
        song.track_id,
    )
    return [f"{row['action']}: {row['detail']}" for row in rows]


async def test_a_finished_song_has_its_graph_impact_and_bundle(
    graphs: Graphs, questions: Questions, song: Song, keys: KeyRing
) -> None:
    """The bundle is signed, for this version, and holds the map and the graph without its meta."""
    view = await graphs.get_graph(get(song))
    assert (view.graph, view.revision, view.source) == (GRAPH, 1, "recommended")
    impact = await impact_of(questions, song)
    assert impact.added_nodes == sorted(node["id"] for node in GRAPH["nodes"])
    assert (impact.against, impact.template_version, impact.confidence) == (
        "nothing: the track had no graph before",
        "1.0.0",
        0.8,
    )
    bundle = await bundle_of(questions, song, keys)
    assert (bundle.manifest.track_id, bundle.manifest.track_version) == (song.track_id, 1)
    assert bundle.manifest.required_nodes == ["BeatPulse", "Fill", "GradientMap", "LedOutput", "MapBeat"]
    assert [node.id for node in bundle.graph.nodes] == [node["id"] for node in GRAPH["nodes"]]
    assert len(bundle.genesis.layers.rhythm.beat_grid_ms) == len(
        genesis()["layers"]["rhythm"]["beat_grid_ms"]
    )


async def test_a_completion_told_twice_keeps_one_graph(
    intake: Intake, objects: ObjectStore, pool: Pool
) -> None:
    """And one of each artefact."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    fact = await song.analysed(objects, graph=GRAPH)
    await intake.analysis_completed(event(fact))
    await intake.analysis_completed(event(fact, told=2))
    assert await pool.fetchval("SELECT count(*) FROM catalogue.graphs") == 1
    assert await pool.fetchval("SELECT count(*) FROM catalogue.artefacts") == 5


async def test_the_next_version_is_compared_with_the_last(
    intake: Intake, graphs: Graphs, questions: Questions, pool: Pool, song: Song
) -> None:
    """As it was edited: only what differs from that is a change."""
    await graphs.put_graph(put(song, edited(500)))
    again = await reanalysis(pool, song)
    await intake.analysis_completed(event(await again.analysed(graphs.objects, graph=edited(700))))
    impact = await impact_of(questions, again)
    assert (impact.against, impact.added_nodes, impact.removed_nodes) == ("version 1", [], [])
    [change] = impact.changed_params
    assert (change.node, change.param, change.before, change.after) == ("pulse", "decay_ms", 500, 700)
    assert impact.impact_order == ["pulse", "colour", "fill", "strip"]
    assert impact.closure_depth == 3


async def test_a_graph_that_cannot_be_used_costs_only_the_show(
    intake: Intake, graphs: Graphs, objects: ObjectStore, pool: Pool
) -> None:
    """The map is ready, with a warning; a person can still put a graph of their own."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    await intake.analysis_completed(event(await song.analysed(objects, graph={"name": "x", "nodes": []})))
    assert await state(pool, song) == ("ready", 1, "ready", "completed")
    warnings = await pool.fetchval("SELECT warnings::text FROM catalogue.versions")
    assert "bundle_failed" in warnings
    with pytest.raises(AnswerError) as absent:
        await graphs.get_graph(get(song))
    assert (absent.value.code, absent.value.status) == ("graph_missing", 404)
    assert (await graphs.put_graph(put(song, GRAPH))).revision == 1
    assert (await graphs.get_graph(get(song))).source == "edited"


async def test_an_empty_graph_is_refused_whatever_else_it_holds(graphs: Graphs, song: Song) -> None:
    """A field that nobody knows is only a warning; that there is nothing to run is the error."""
    empty = {"name": "nothing", "version": "v1.0", "nodes": [], "colour": "green"}
    for answering in (
        graphs.put_graph(put(song, empty)),
        graphs.simulate(Simulate(track_id=song.track_id, version=1, graph=empty)),
    ):
        with pytest.raises(AnswerError) as refused:
            await answering
        assert (refused.value.code, refused.value.status) == ("graph_invalid", 422)


async def test_a_broken_graph_is_refused_with_every_fault(
    graphs: Graphs, questions: Questions, song: Song, pool: Pool
) -> None:
    """At once, and nothing is changed."""
    before = await listed(questions, song)
    broken = edited(-5)
    broken["nodes"][2]["inputs"]["index"] = "nobody"
    broken["nodes"].append({"id": "Loud!", "type": "Blare"})
    with pytest.raises(AnswerError) as refused:
        await graphs.put_graph(put(song, broken))
    assert (refused.value.code, refused.value.status) == ("graph_invalid", 422)
    rules = {violation.rule for violation in refused.value.violations}
    assert {"node_id", "unknown_type"} <= rules
    assert len([v for v in refused.value.violations if v.severity == "error"]) >= 4
    for nonsense in (None, [], "graph", 7, {}):
        with pytest.raises(AnswerError, match="nothing was changed"):
            await graphs.put_graph(put(song, nonsense))
    assert (await graphs.get_graph(get(song))).revision == 1
    assert {n: a.sha256 for n, a in (await listed(questions, song)).items()} == {
        n: a.sha256 for n, a in before.items()
    }
    assert await audit(pool, song) == []


async def test_an_edit_is_kept_and_what_a_run_showed_is_taken_away(
    graphs: Graphs, questions: Questions, song: Song, pool: Pool
) -> None:
    """Its figures are there at once, the run's files are missing until it is simulated, and the edit is audited."""
    await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    saved = await graphs.put_graph(put(song, edited(500)))
    assert saved.revision == 2
    assert set(saved.outdated) == RUN
    assert saved.impact.against == "the first graph of this version"
    assert saved.impact.changed_nodes == ["colour", "fill", "pulse", "strip"]
    now = await listed(questions, song)
    assert {name for name, artefact in now.items() if artefact.status == "missing"} >= RUN
    assert now["graph.json"].inline_json == edited(500)
    figures = (saved.metrics, saved.estimate, saved.validation, saved.impact)
    names = ("graph.metrics.json", "graph.estimate.json", "graph.validation.json", "graph.impact.json")
    for figure, name in zip(figures, names, strict=True):
        assert now[name].inline_json == figure.model_dump(mode="json", exclude_none=True, by_alias=True)
    assert now["graph.analysis.json"].inline_json
    again = await graphs.put_graph(put(song, edited(500)))
    assert (again.revision, again.etag) == (2, saved.etag)
    assert (await audit(pool, song))[1:] == [
        "graph edited: version 1, revision 2: 4 nodes differ from the first graph of this version"
    ]


async def test_of_edits_at_once_one_wins(graphs: Graphs, song: Song) -> None:
    """All hold the same tag; the others are told to read again, and none is lost unseen."""
    tag = (await graphs.get_graph(get(song))).etag
    edits = [graphs.put_graph(put(song, edited(400 + n), tag)) for n in range(8)]
    ends = await asyncio.gather(*edits, return_exceptions=True)
    won = [end for end in ends if isinstance(end, GraphSaved)]
    lost = [end for end in ends if isinstance(end, AnswerError)]
    assert (len(won), {(end.code, end.status) for end in lost}) == (1, {("graph_changed", 412)})
    view = await graphs.get_graph(get(song))
    assert (view.revision, view.etag) == (2, won[0].etag)
    assert (await graphs.put_graph(put(song, edited(999), "*"))).revision == 3


async def test_simulating_keeps_what_was_shown_and_signs_a_bundle(
    graphs: Graphs, questions: Questions, song: Song, keys: KeyRing, pool: Pool
) -> None:
    """Of the graph as it is now; the same again gives the same bytes."""
    await graphs.put_graph(put(song, edited(500)))
    done = await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    assert done.saved
    assert done.before_ms >= done.after_ms > 0
    assert (done.cpu_pct_before, done.cpu_pct_after) == (
        done.executor_scale.cpu_pct_before,
        done.executor_scale.cpu_pct_after,
    )
    assert {artefact.name for artefact in done.artefacts} == RUN
    now = await listed(questions, song)
    assert {now[name].status for name in RUN} == {"present"}
    assert now["visual.report.json"].inline_json == done.visual_report.model_dump(
        mode="json", exclude_none=True, by_alias=True
    )
    bundle = await bundle_of(questions, song, keys)
    assert bundle.graph.nodes[1].params == {"decay_ms": 500}
    await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    again = await listed(questions, song)
    assert {name: again[name].sha256 for name in RUN} == {name: now[name].sha256 for name in RUN}
    assert (await audit(pool, song))[1:] == ["graph simulated: version 1, revision 2"] * 2


async def test_a_tried_graph_changes_nothing(
    graphs: Graphs, questions: Questions, song: Song, worker: Worker
) -> None:
    """Its files are handed out; the version keeps its own. A broken one is refused before it runs."""
    before = await listed(questions, song)
    done = await graphs.simulate(Simulate(track_id=song.track_id, version=1, graph=edited(900)))
    assert not done.saved
    assert {artefact.name for artefact in done.artefacts} == RUN - {"bundle.k1b"}
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        assert (await http.get(done.artefacts[2].url or "")).content.startswith(b"\x89PNG")
    assert {n: a.sha256 for n, a in (await listed(questions, song)).items()} == {
        n: a.sha256 for n, a in before.items()
    }
    with pytest.raises(AnswerError) as refused:
        await graphs.simulate(Simulate(track_id=song.track_id, version=1, graph={"nodes": 3}))
    assert (refused.value.code, len(worker.asked)) == ("graph_invalid", 1)


async def test_a_run_of_a_graph_that_was_edited_meanwhile_is_not_kept(
    graphs: Graphs, questions: Questions, song: Song, worker: Worker
) -> None:
    """A bundle of the old graph must never pass for one of the new."""
    worker.meanwhile = lambda: graphs.put_graph(put(song, edited(500)))
    with pytest.raises(AnswerError) as refused:
        await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    assert (refused.value.code, refused.value.status) == ("graph_changed", 409)
    assert (await listed(questions, song))["bundle.k1b"].status == "missing"


async def test_without_a_map_there_is_nothing_to_edit(intake: Intake, graphs: Graphs) -> None:
    """Still analysed, failed, unknown: each with its own code."""
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    asked = (
        lambda: graphs.get_graph(get(song)),
        lambda: graphs.put_graph(put(song, GRAPH)),
        lambda: graphs.simulate(Simulate(track_id=song.track_id, version=song.version)),
    )
    for ask in asked:
        with pytest.raises(AnswerError) as pending:
            await ask()
        assert (pending.value.code, pending.value.status) == ("genesis_pending", 409)
    await intake.analysis_failed(event(song.failed()))
    for ask in asked:
        with pytest.raises(AnswerError) as missing:
            await ask()
        assert (missing.value.code, missing.value.status) == ("genesis_missing", 404)
    song = Song()
    for ask in asked:
        with pytest.raises(AnswerError) as unknown:
            await ask()
        assert unknown.value.code == "track_not_found"


async def test_a_bug_in_signing_costs_only_the_show(intake: Intake, pool: Pool, objects: ObjectStore) -> None:
    """The map is told of all the same, with a warning."""
    broken = replace(intake, shows=replace(intake.shows, key=cast("Ed25519PrivateKey", "no key")))
    song = Song()
    await broken.track_uploaded(event(song.uploaded()))
    await broken.analysis_completed(event(await song.analysed(objects, graph=GRAPH)))
    assert await state(pool, song) == ("ready", 1, "ready", "completed")
    assert "bundle_failed" in await pool.fetchval("SELECT warnings::text FROM catalogue.versions")


async def test_the_same_map_graph_and_key_give_the_same_bundle(
    graphs: Graphs, questions: Questions, song: Song
) -> None:
    """The one signed after the analysis and the one signed after a run are the same bytes."""
    first = (await listed(questions, song))["bundle.k1b"]
    await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    assert (await listed(questions, song))["bundle.k1b"].sha256 == first.sha256


async def test_a_rotated_key_signs_and_the_old_bundles_stay_valid(
    graphs: Graphs, questions: Questions, song: Song, tmp_path: Path
) -> None:
    """The new key is listed first; a device that holds the list opens bundles of both."""
    ensure_key(tmp_path)
    old = load_keys(tmp_path)
    add_key(tmp_path)
    new = load_keys(tmp_path)
    listed_keys = await Reference.of(new.private).list_keys(ListKeys())
    kids = [key_id(new.signing.public_key()), key_id(old.public[0])]
    assert [key.kid for key in listed_keys.keys] == kids
    for ring in (old, new):
        signed = replace(graphs, shows=replace(graphs.shows, key=ring.signing))
        await signed.simulate(Simulate(track_id=song.track_id, version=1))
        bundle = await bundle_of(questions, song, new)
        assert bundle.manifest.key_id == key_id(ring.signing.public_key())


async def test_reference(keys: KeyRing) -> None:
    """Every node type of the catalogue, and every valid key as a web key."""
    reference = Reference.of(keys.private)
    nodes = (await reference.list_nodes(ListNodes())).nodes
    assert [node.type for node in nodes] == list(load_node_types().nodes)
    [key] = (await reference.list_keys(ListKeys())).keys
    assert (key.kty, key.crv, key.kid) == ("OKP", "Ed25519", key_id(keys.public[0]))
    raw = base64.urlsafe_b64decode(key.x + "=" * (-len(key.x) % 4))
    assert raw == keys.public[0].public_bytes_raw()


async def test_a_device_that_trusts_the_old_key_learns_the_new_one(tmp_path: Path) -> None:
    """The set is signed, as text, by every key in it."""
    ensure_key(tmp_path)
    old = load_keys(tmp_path).signing.public_key()
    add_key(tmp_path)
    answer = await Reference.of(load_keys(tmp_path).private).list_keys(ListKeys())
    assert answer.document
    assert json.loads(answer.document) == {"keys": [key.model_dump() for key in answer.keys]}
    assert sorted(answer.signatures) == sorted(key.kid for key in answer.keys)
    old.verify(bytes.fromhex(answer.signatures[key_id(old)]), answer.document.encode())
