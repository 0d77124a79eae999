"""Tests of the queries that precede a deployment, with real stores."""

import pytest
from opentelemetry import context, propagate

from k1_catalogue.deployments.bundle_queries import BundleQueries
from k1_catalogue.graphs.queries import GraphQueries
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.graphs import PutGraph, Simulate
from k1_contracts.messages.catalogue.tracks import GetVersion
from k1_contracts.messages.deploy.bundles import BundleInfo, CompareGraphs, GetBundle
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_graph.bundle.container import read_bundle, read_head
from k1_graph.errors import BundleError
from k1_platform.auth.signing import KeyRing
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.graph_samples import GRAPH, edited_graph
from services.catalogue.tests.song_samples import Song, analyse, genesis, upload


@pytest.fixture
def bundles(pool: Pool, objects: ObjectStore) -> BundleQueries:
    """The queries about bundles."""
    return BundleQueries(pool, objects)


@pytest.fixture
async def song(job_events: JobEventHandlers, objects: ObjectStore) -> Song:
    """An analysed song with a graph."""
    return await analyse(job_events, objects, graph=GRAPH)


def get_bundle(song: Song) -> GetBundle:
    return GetBundle(track_id=song.track_id, version=song.version)


def running_bundle(info: BundleInfo) -> RunningBundle:
    ref = info.bundle
    return RunningBundle(bundle_sha256=ref.sha256, track_id=ref.track_id, version=ref.version)


async def error_of(bundles: BundleQueries, query: GetBundle) -> tuple[str, int]:
    with pytest.raises(QueryError) as found:
        await bundles.get_bundle(query)
    return found.value.code, found.value.status


async def test_the_bundle_of_a_version(
    bundles: BundleQueries, graphs: GraphQueries, song: Song, objects: ObjectStore, keys: KeyRing
) -> None:
    """The response has the values that the gates check (manifest, cost, F-measure, status) and the key of the bytes."""
    info = await bundles.get_bundle(get_bundle(song))
    data = await objects.get_bytes(info.key)
    contents = read_bundle(data, {info.manifest.key_id: keys.public[0]})
    assert (info.bundle.size, info.manifest) == (len(data), contents.manifest)
    assert (info.bundle.track_id, info.bundle.version) == (song.track_id, 1)
    assert (info.f_measure, info.track_status) == (0.95, "ready")
    saved = await graphs.put_graph(PutGraph(track_id=song.track_id, version=1, graph=GRAPH))
    assert (info.runtime_estimate.est_ms, info.risk) == (saved.estimate.est_ms, "green")


async def test_a_bundle_names_the_trace_that_made_its_version(
    bundles: BundleQueries, job_events: JobEventHandlers, objects: ObjectStore
) -> None:
    """The trace in which the analysis ended, so that a deployment can be linked to the upload."""
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    token = context.attach(propagate.extract({"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}))
    try:
        traced = await analyse(job_events, objects, graph=GRAPH)
    finally:
        context.detach(token)
    assert trace_id in ((await bundles.get_bundle(get_bundle(traced))).traceparent or "")


async def test_photosensitivity_of_a_bundle(
    bundles: BundleQueries, graphs: GraphQueries, song: Song, pool: Pool, track_queries: TrackQueries
) -> None:
    """It is unknown before a run and then as in the report, also if the table does not hold the report's content."""
    assert (await bundles.get_bundle(get_bundle(song))).photosensitivity_passed is None
    await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    listed = (await track_queries.list_artefacts(GetVersion(track_id=song.track_id, version=1))).artefacts
    [report] = [each.inline_json for each in listed if each.type == "visual_report"]
    assert report
    passed = report["photosensitivity"]["passed"]
    assert (await bundles.get_bundle(get_bundle(song))).photosensitivity_passed is passed
    update = "UPDATE catalogue.artefacts SET inline_json = $1 WHERE type = 'visual_report'"
    await pool.execute(update, None)
    assert (await bundles.get_bundle(get_bundle(song))).photosensitivity_passed is passed
    await pool.execute(update, '{"of": "another release"}')
    assert (await bundles.get_bundle(get_bundle(song))).photosensitivity_passed is None


async def test_a_warning_status(
    bundles: BundleQueries, job_events: JobEventHandlers, objects: ObjectStore
) -> None:
    """A low F-measure makes the version's status a warning; deploy decides what follows."""
    song = await analyse(job_events, objects, genesis(f_measure=0.5), GRAPH)
    info = await bundles.get_bundle(get_bundle(song))
    assert (info.f_measure, info.track_status) == (0.5, "warning")


async def test_reasons_for_a_missing_bundle(
    bundles: BundleQueries,
    graphs: GraphQueries,
    job_events: JobEventHandlers,
    objects: ObjectStore,
    song: Song,
) -> None:
    """Each reason has its own code: unknown track, unknown version, not analysed yet, edited since, no graph."""
    assert await error_of(bundles, GetBundle(track_id=new_id("trk"), version=1)) == ("track_not_found", 404)
    assert await error_of(bundles, GetBundle(track_id=song.track_id, version=9)) == ("version_not_found", 404)
    queued = await upload(job_events)
    assert await error_of(bundles, get_bundle(queued)) == ("genesis_pending", 409)
    without_graph = await analyse(job_events, objects)
    assert await error_of(bundles, get_bundle(without_graph)) == ("bundle_missing", 409)
    await graphs.put_graph(PutGraph(track_id=song.track_id, version=1, graph=edited_graph(77)))
    assert await error_of(bundles, get_bundle(song)) == ("bundle_missing", 409)
    await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    assert (await bundles.get_bundle(get_bundle(song))).manifest.track_id == song.track_id


async def test_a_bundle_whose_bytes_are_lost(
    bundles: BundleQueries, objects: ObjectStore, song: Song
) -> None:
    """A bundle that was deleted or overwritten with garbage has the same error as a missing one."""
    key = (await bundles.get_bundle(get_bundle(song))).key
    await objects.put_bytes(key, b"garbage", "application/cbor")
    fresh = BundleQueries(bundles.pool, objects)
    assert await error_of(fresh, get_bundle(song)) == ("bundle_missing", 409)
    await objects.delete(key)
    assert await error_of(fresh, get_bundle(song)) == ("bundle_missing", 409)


async def test_changes_on_a_device(
    bundles: BundleQueries,
    graphs: GraphQueries,
    job_events: JobEventHandlers,
    objects: ObjectStore,
    song: Song,
) -> None:
    """The graph in the running bundle is compared, also if its version was edited since; an unknown bundle is an error."""
    old = await bundles.get_bundle(get_bundle(song))
    await graphs.put_graph(PutGraph(track_id=song.track_id, version=1, graph=edited_graph(77)))
    query = CompareGraphs(track_id=song.track_id, version=1, running=running_bundle(old))
    found = await bundles.compare_graphs(query)
    assert [(change.node, change.param) for change in found.changed_params] == [("pulse", "decay_ms")]
    assert (found.changed_nodes, found.against) == (["colour", "fill", "pulse", "strip"], "version 1")
    other = await analyse(job_events, objects, graph=GRAPH)
    elsewhere = await bundles.compare_graphs(
        CompareGraphs(track_id=other.track_id, version=1, running=running_bundle(old))
    )
    assert (elsewhere.changed_nodes, elsewhere.against) == ([], f"version 1 of {song.track_id}")
    unnamed = RunningBundle(bundle_sha256=old.bundle.sha256)
    again = await bundles.compare_graphs(query.model_copy(update={"running": unnamed}))
    assert again.against == f"the bundle {old.bundle.sha256[:12]}"
    with pytest.raises(QueryError) as caught:
        await bundles.compare_graphs(
            query.model_copy(update={"running": RunningBundle(bundle_sha256="0" * 64)})
        )
    assert (caught.value.code, caught.value.status) == ("bundle_unknown", 404)


@pytest.mark.parametrize("data", [b"", b"\xa0", b"not cbor", b"\xff" * 100])
def test_data_that_is_not_a_bundle(data: bytes) -> None:
    """Data that is not a bundle raises BundleError."""
    with pytest.raises(BundleError):
        read_head(data)
