"""Tests of the queries about graphs, with real stores: reading, editing, simulating, comparing and signing."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from k1_catalogue.graphs.queries import GraphQueries
from k1_catalogue.graphs.reference_queries import ReferenceQueries
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts.actors import Actor
from k1_contracts.graph import GraphImpact
from k1_contracts.messages.catalogue.beats import BeatAuthor
from k1_contracts.messages.catalogue.graph_edits import GraphEdited, GraphSimulationStored, ValidateGraph
from k1_contracts.messages.catalogue.graphs import GetGraph, GraphSaved, ListKeys, PutGraph, Simulate
from k1_contracts.messages.catalogue.tracks import Artefact, GetVersion
from k1_graph.bundle.container import BundleContents, key_id, read_bundle
from k1_platform.auth.signing import KeyRing, add_key, ensure_key, load_keys
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.conftest import NOW
from services.catalogue.tests.graph_samples import GRAPH, InProcessWorker, edited_graph
from services.catalogue.tests.job_tables import insert_reanalysis, read_status
from services.catalogue.tests.song_samples import Song, analyse, genesis, message, upload
from tests.support.waiting import PATIENCE_S

ADA = Actor(kind="user", id="usr_ada", name="Ada", role="editor")
RUN = {"graph.executor.scale.json", "visual.report.json", "preview.png", "preview.bin", "bundle.k1b"}


@pytest.fixture
async def song(job_events: JobEventHandlers, objects: ObjectStore) -> Song:
    """An analysed song with a graph."""
    return await analyse(job_events, objects, graph=GRAPH)


async def artefacts_by_name(track_queries: TrackQueries, song: Song) -> dict[str, Artefact]:
    """Return the artefacts of the song's version by name."""
    response = await track_queries.list_artefacts(GetVersion(track_id=song.track_id, version=song.version))
    return {artefact.name: artefact for artefact in response.artefacts}


async def impact_of(track_queries: TrackQueries, song: Song) -> GraphImpact:
    return GraphImpact.model_validate(
        (await artefacts_by_name(track_queries, song))["graph.impact.json"].inline_json
    )


async def bundle_of(track_queries: TrackQueries, song: Song, keys: KeyRing) -> BundleContents:
    url = (await artefacts_by_name(track_queries, song))["bundle.k1b"].url
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        data = (await http.get(url or "")).content
    return read_bundle(data, {key_id(key): key for key in keys.public})


def put(song: Song, graph: Any, *tags: str) -> PutGraph:
    return PutGraph(
        track_id=song.track_id, version=song.version, graph=graph, if_match=list(tags) if tags else None
    )


def check(song: Song, graph: Any) -> ValidateGraph:
    return ValidateGraph(track_id=song.track_id, version=song.version, graph=graph)


def get(song: Song) -> GetGraph:
    return GetGraph(track_id=song.track_id, version=song.version)


async def audit(pool: Pool, song: Song) -> list[str]:
    rows = await pool.fetch(
        "SELECT action, detail FROM catalogue.track_events WHERE track_id = $1 AND action LIKE 'graph%' ORDER BY id",
        song.track_id,
    )
    return [f"{row['action']}: {row['detail']}" for row in rows]


async def test_a_finished_song_has_its_graph_impact_and_bundle(
    graphs: GraphQueries, track_queries: TrackQueries, song: Song, keys: KeyRing
) -> None:
    """The bundle is signed, for this version, and holds the map and the graph without its meta."""
    view = await graphs.get_graph(get(song))
    assert (view.graph, view.revision, view.source) == (GRAPH, 1, "recommended")
    impact = await impact_of(track_queries, song)
    assert impact.added_nodes == sorted(node["id"] for node in GRAPH["nodes"])
    assert (impact.against, impact.template_version, impact.confidence) == (
        "nothing: the track had no graph before",
        "1.0.0",
        0.8,
    )
    bundle = await bundle_of(track_queries, song, keys)
    assert (bundle.manifest.track_id, bundle.manifest.track_version) == (song.track_id, 1)
    assert bundle.manifest.required_nodes == ["BeatPulse", "Fill", "GradientMap", "LedOutput", "MapBeat"]
    assert [node.id for node in bundle.graph.nodes] == [node["id"] for node in GRAPH["nodes"]]
    assert len(bundle.genesis.layers.rhythm.beat_grid_ms) == len(
        genesis()["layers"]["rhythm"]["beat_grid_ms"]
    )


async def test_a_repeated_completion_adds_no_second_graph(
    job_events: JobEventHandlers, objects: ObjectStore, pool: Pool
) -> None:
    """A repeated completion adds no second graph and no second artefact."""
    song = await upload(job_events)
    event = await song.analysed(objects, graph=GRAPH)
    await job_events.handle_completed(message(event))
    await job_events.handle_completed(message(event, number=2))
    assert await pool.fetchval("SELECT count(*) FROM catalogue.graphs") == 1
    assert await pool.fetchval("SELECT count(*) FROM catalogue.artefacts") == 5


async def test_the_next_version_is_compared_with_the_last(
    job_events: JobEventHandlers, graphs: GraphQueries, track_queries: TrackQueries, pool: Pool, song: Song
) -> None:
    """The baseline is the edited graph of the last version: only differences from it are changes."""
    await graphs.put_graph(put(song, edited_graph(500)))
    again = await insert_reanalysis(pool, song)
    await job_events.handle_completed(message(await again.analysed(graphs.objects, graph=edited_graph(700))))
    impact = await impact_of(track_queries, again)
    assert (impact.against, impact.added_nodes, impact.removed_nodes) == ("version 1", [], [])
    [change] = impact.changed_params
    assert (change.node, change.param, change.before, change.after) == ("pulse", "decay_ms", 500, 700)
    assert impact.impact_order == ["pulse", "colour", "fill", "strip"]
    assert impact.closure_depth == 3


async def test_the_recommended_graph_stays_readable(
    job_events: JobEventHandlers, graphs: GraphQueries, pool: Pool, song: Song
) -> None:
    """It is the one of the version itself; a version that took an edited graph over has that of the one before."""
    await graphs.put_graph(put(song, edited_graph(500)))
    recommended = get(song).model_copy(update={"source": "recommended"})
    view = await graphs.get_graph(recommended)
    assert (view.graph, view.revision, view.source) == (GRAPH, 1, "recommended")
    assert (await graphs.get_graph(get(song))).graph == edited_graph(500)
    again = await insert_reanalysis(pool, song)
    await job_events.handle_completed(message(await again.analysed(graphs.objects, graph=edited_graph(700))))
    later = recommended.model_copy(update={"version": 2})
    assert (await graphs.get_graph(later)).graph == edited_graph(700)
    await pool.execute("UPDATE catalogue.graphs SET source = 'edited' WHERE version = 2")
    assert (await graphs.get_graph(later)).graph == GRAPH


async def test_an_invalid_graph_loses_only_the_show(
    job_events: JobEventHandlers, graphs: GraphQueries, objects: ObjectStore, pool: Pool
) -> None:
    """The map is ready, with a warning; a person can still put another graph."""
    song = await analyse(job_events, objects, graph={"name": "x", "nodes": []})
    assert await read_status(pool, song) == ("ready", 1, "ready", "completed")
    warnings = await pool.fetchval("SELECT warnings::text FROM catalogue.versions")
    assert "bundle_failed" in warnings
    with pytest.raises(QueryError) as absent:
        await graphs.get_graph(get(song))
    assert (absent.value.code, absent.value.status) == ("graph_missing", 404)
    assert (await graphs.put_graph(put(song, GRAPH))).revision == 1
    assert (await graphs.get_graph(get(song))).source == "edited"


async def test_an_empty_graph_is_rejected(graphs: GraphQueries, song: Song) -> None:
    """An unknown field is only a warning; a graph without nodes is the error."""
    empty = {"name": "nothing", "version": "v1.0", "nodes": [], "colour": "green"}
    for response in (
        graphs.put_graph(put(song, empty)),
        graphs.simulate(Simulate(track_id=song.track_id, version=1, graph=empty)),
    ):
        with pytest.raises(QueryError) as caught:
            await response
        assert (caught.value.code, caught.value.status) == ("graph_invalid", 422)


async def test_a_broken_graph_is_rejected_with_every_violation(
    graphs: GraphQueries, track_queries: TrackQueries, song: Song, pool: Pool
) -> None:
    """All errors are reported at once, and nothing is changed."""
    before = await artefacts_by_name(track_queries, song)
    broken = edited_graph(-5)
    broken["nodes"][2]["inputs"]["index"] = "nobody"
    broken["nodes"].append({"id": "Loud!", "type": "Blare"})
    with pytest.raises(QueryError) as caught:
        await graphs.put_graph(put(song, broken))
    assert (caught.value.code, caught.value.status) == ("graph_invalid", 422)
    rules = {violation.rule for violation in caught.value.violations}
    assert {"node_id", "unknown_type"} <= rules
    assert len([v for v in caught.value.violations if v.severity == "error"]) >= 4
    for nonsense in (None, [], "graph", 7, {}):
        with pytest.raises(QueryError, match="nothing was changed"):
            await graphs.put_graph(put(song, nonsense))
    assert (await graphs.get_graph(get(song))).revision == 1
    assert {n: a.sha256 for n, a in (await artefacts_by_name(track_queries, song)).items()} == {
        n: a.sha256 for n, a in before.items()
    }
    assert await audit(pool, song) == []


async def test_an_edit_removes_the_artefacts_of_a_run(
    graphs: GraphQueries, track_queries: TrackQueries, song: Song, pool: Pool
) -> None:
    """The report is there at once, the artefacts of a run are missing until a simulation, and the edit is audited."""
    await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    saved = await graphs.put_graph(put(song, edited_graph(500)))
    assert saved.revision == 2
    assert set(saved.outdated) == RUN
    assert saved.impact.against == "the first graph of this version"
    assert saved.impact.changed_nodes == ["colour", "fill", "pulse", "strip"]
    after = await artefacts_by_name(track_queries, song)
    assert {name for name, artefact in after.items() if artefact.status == "missing"} >= RUN
    assert after["graph.json"].inline_json == edited_graph(500)
    figures = (saved.metrics, saved.estimate, saved.validation, saved.impact)
    names = ("graph.metrics.json", "graph.estimate.json", "graph.validation.json", "graph.impact.json")
    for figure, name in zip(figures, names, strict=True):
        assert after[name].inline_json == figure.model_dump(mode="json", exclude_none=True, by_alias=True)
    assert after["graph.analysis.json"].inline_json
    again = await graphs.put_graph(put(song, edited_graph(500)))
    assert (again.revision, again.etag) == (2, saved.etag)
    assert (await audit(pool, song))[1:] == [
        "graph edited: version 1, revision 2: 1 node changed, compared with the first graph of this version"
    ]


async def test_a_graph_is_checked_without_saving_it(graphs: GraphQueries, song: Song, pool: Pool) -> None:
    """The figures are those that an edit would give; of a broken graph every violation comes with its fix."""
    before = await pool.fetchval("SELECT count(*) FROM catalogue.track_events")
    tag = (await graphs.get_graph(get(song))).etag
    found = await graphs.validate_graph(check(song, edited_graph(500)))
    assert found.validation.ok
    broken = await graphs.validate_graph(check(song, edited_graph(-5)))
    assert (broken.validation.ok, broken.estimate, broken.metrics, broken.impact) == (False, None, None, None)
    [violation] = [each for each in broken.validation.violations if each.severity == "error"]
    assert (violation.node, bool(violation.fix)) == ("pulse", True)
    assert not (await graphs.validate_graph(check(song, None))).validation.ok
    assert (await graphs.get_graph(get(song))).etag == tag
    assert await pool.fetchval("SELECT count(*) FROM catalogue.track_events") == before
    saved = await graphs.put_graph(put(song, edited_graph(500)))
    same = ("validation", "metrics", "estimate", "impact")
    assert [getattr(found, name) for name in same] == [getattr(saved, name) for name in same]


async def test_an_edit_and_a_simulation_are_events(graphs: GraphQueries, song: Song, pool: Pool) -> None:
    """Each is published once with the revision; the same graph again is no event."""
    with acting_as(ADA):
        saved = await graphs.put_graph(put(song, edited_graph(500)))
    await graphs.put_graph(put(song, edited_graph(500)))
    await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    rows = await pool.fetch(
        "SELECT subject, body FROM catalogue.outbox WHERE subject LIKE 'graph.%' ORDER BY id"
    )
    assert [row["subject"] for row in rows] == ["graph.edited", "graph.simulated"]
    about = {"track_id": song.track_id, "version": 1, "revision": 2, "at": NOW}
    assert GraphEdited.model_validate_json(rows[0]["body"]) == GraphEdited(
        **about, etag=saved.etag, author=BeatAuthor(kind="user", id=ADA.id, name=ADA.name)
    )
    assert GraphSimulationStored.model_validate_json(rows[1]["body"]) == GraphSimulationStored(**about)


async def test_one_of_several_concurrent_edits_is_saved(graphs: GraphQueries, song: Song) -> None:
    """All have the same entity tag; every other edit is rejected, so that no edit is lost silently."""
    tag = (await graphs.get_graph(get(song))).etag
    edits = [graphs.put_graph(put(song, edited_graph(400 + n), tag)) for n in range(8)]
    ends = await asyncio.gather(*edits, return_exceptions=True)
    won = [end for end in ends if isinstance(end, GraphSaved)]
    lost = [end for end in ends if isinstance(end, QueryError)]
    assert (len(won), {(end.code, end.status) for end in lost}) == (1, {("graph_changed", 412)})
    view = await graphs.get_graph(get(song))
    assert (view.revision, view.etag) == (2, won[0].etag)
    assert (await graphs.put_graph(put(song, edited_graph(999), "*"))).revision == 3


async def test_a_simulation_stores_its_artefacts_and_a_signed_bundle(
    graphs: GraphQueries, track_queries: TrackQueries, song: Song, keys: KeyRing, pool: Pool
) -> None:
    """The bundle has the current graph; a second simulation gives the same bytes."""
    await graphs.put_graph(put(song, edited_graph(500)))
    result = await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    assert result.saved
    assert result.before_ms >= result.after_ms > 0
    assert (result.cpu_pct_before, result.cpu_pct_after) == (
        result.executor_scale.cpu_pct_before,
        result.executor_scale.cpu_pct_after,
    )
    assert {artefact.name for artefact in result.artefacts} == RUN
    after = await artefacts_by_name(track_queries, song)
    assert {after[name].status for name in RUN} == {"present"}
    assert after["visual.report.json"].inline_json == result.visual_report.model_dump(
        mode="json", exclude_none=True, by_alias=True
    )
    bundle = await bundle_of(track_queries, song, keys)
    assert bundle.graph.nodes[1].params == {"decay_ms": 500}
    await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    again = await artefacts_by_name(track_queries, song)
    assert {name: again[name].sha256 for name in RUN} == {name: after[name].sha256 for name in RUN}
    assert (await audit(pool, song))[1:] == ["graph simulated: version 1, revision 2"] * 2


async def test_a_trial_changes_nothing(
    graphs: GraphQueries, track_queries: TrackQueries, song: Song, worker: InProcessWorker
) -> None:
    """The response has the files of the trial; the version's artefacts stay. A broken graph is rejected before it runs."""
    before = await artefacts_by_name(track_queries, song)
    result = await graphs.simulate(Simulate(track_id=song.track_id, version=1, graph=edited_graph(900)))
    assert not result.saved
    assert {artefact.name for artefact in result.artefacts} == RUN - {"bundle.k1b"}
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        assert (await http.get(result.artefacts[2].url or "")).content.startswith(b"\x89PNG")
    assert {n: a.sha256 for n, a in (await artefacts_by_name(track_queries, song)).items()} == {
        n: a.sha256 for n, a in before.items()
    }
    with pytest.raises(QueryError) as caught:
        await graphs.simulate(Simulate(track_id=song.track_id, version=1, graph={"nodes": 3}))
    assert (caught.value.code, len(worker.queries)) == ("graph_invalid", 1)


async def test_a_run_of_a_graph_that_was_edited_meanwhile_is_not_stored(
    graphs: GraphQueries, track_queries: TrackQueries, song: Song, worker: InProcessWorker
) -> None:
    """A bundle of the old graph must never count as one of the new graph."""
    worker.before_response = lambda: graphs.put_graph(put(song, edited_graph(500)))
    with pytest.raises(QueryError) as caught:
        await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    assert (caught.value.code, caught.value.status) == ("graph_changed", 409)
    assert (await artefacts_by_name(track_queries, song))["bundle.k1b"].status == "missing"


async def test_a_version_without_a_map_has_no_graph(
    job_events: JobEventHandlers, graphs: GraphQueries
) -> None:
    """A running analysis, a failed one and an unknown track each have their own code."""
    song = await upload(job_events)
    queries = (
        lambda: graphs.get_graph(get(song)),
        lambda: graphs.put_graph(put(song, GRAPH)),
        lambda: graphs.simulate(Simulate(track_id=song.track_id, version=song.version)),
    )
    for query in queries:
        with pytest.raises(QueryError) as pending:
            await query()
        assert (pending.value.code, pending.value.status) == ("genesis_pending", 409)
    await job_events.handle_failed(message(song.failed()))
    for query in queries:
        with pytest.raises(QueryError) as missing:
            await query()
        assert (missing.value.code, missing.value.status) == ("genesis_missing", 404)
    song = Song()
    for query in queries:
        with pytest.raises(QueryError) as unknown:
            await query()
        assert unknown.value.code == "track_not_found"


async def test_an_error_in_signing_loses_only_the_show(
    job_events: JobEventHandlers, pool: Pool, objects: ObjectStore
) -> None:
    """The map is recorded nevertheless, with a warning."""
    broken = replace(job_events, shows=replace(job_events.shows, key=cast("Ed25519PrivateKey", "no key")))
    song = await analyse(broken, objects, graph=GRAPH)
    assert await read_status(pool, song) == ("ready", 1, "ready", "completed")
    assert "bundle_failed" in await pool.fetchval("SELECT warnings::text FROM catalogue.versions")


async def test_the_same_map_graph_and_key_give_the_same_bundle(
    graphs: GraphQueries, track_queries: TrackQueries, song: Song
) -> None:
    """The bundle from the analysis and the bundle from a simulation have the same bytes."""
    first = (await artefacts_by_name(track_queries, song))["bundle.k1b"]
    await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    assert (await artefacts_by_name(track_queries, song))["bundle.k1b"].sha256 == first.sha256


async def test_a_rotated_key_signs_and_the_old_bundles_stay_valid(
    graphs: GraphQueries, track_queries: TrackQueries, song: Song, tmp_path: Path
) -> None:
    """The new key is listed first; a device with the list opens bundles of both keys."""
    ensure_key(tmp_path)
    old = load_keys(tmp_path)
    add_key(tmp_path)
    new = load_keys(tmp_path)
    listed_keys = await ReferenceQueries.of(new.private).list_keys(ListKeys())
    kids = [key_id(new.signing.public_key()), key_id(old.public[0])]
    assert [key.kid for key in listed_keys.keys] == kids
    for ring in (old, new):
        signed = replace(graphs, shows=replace(graphs.shows, key=ring.signing))
        await signed.simulate(Simulate(track_id=song.track_id, version=1))
        bundle = await bundle_of(track_queries, song, new)
        assert bundle.manifest.key_id == key_id(ring.signing.public_key())
