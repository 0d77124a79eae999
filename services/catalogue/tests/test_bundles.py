"""What a deployment asks of the catalogue, on real stores."""

from typing import Any

import pytest

from k1_catalogue.bundles import Bundles
from k1_catalogue.graphs import Graphs
from k1_catalogue.intake import Intake
from k1_catalogue.questions import Questions
from k1_catalogue.show_files import ShowFiles
from k1_contracts.ids import new_id
from k1_contracts.messages.bundles import BundleInfo, CompareGraphs, GetBundle
from k1_contracts.messages.device_link import RunningBundle
from k1_contracts.messages.graphs import PutGraph, Simulate
from k1_contracts.messages.tracks import GetVersion
from k1_graph.bundle.container import read_bundle, read_head
from k1_graph.errors import BundleError
from k1_platform.database import Pool
from k1_platform.objects import ObjectStore
from k1_platform.rpc import AnswerError
from k1_platform.signing import KeyRing
from services.catalogue.tests.conftest import NOW
from services.catalogue.tests.graphs import GRAPH, Worker, edited
from services.catalogue.tests.songs import Song, event, genesis


@pytest.fixture
def bundles(pool: Pool, objects: ObjectStore) -> Bundles:
    return Bundles(pool, objects)


@pytest.fixture
def graphs(pool: Pool, objects: ObjectStore, shows: ShowFiles) -> Graphs:
    return Graphs(pool, objects, shows, Worker(objects).run, lambda: NOW)


@pytest.fixture
async def song(intake: Intake, objects: ObjectStore) -> Song:
    return await analysed(intake, objects)


async def analysed(intake: Intake, objects: ObjectStore, **changes: Any) -> Song:
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    await intake.analysis_completed(event(await song.analysed(objects, **({"graph": GRAPH} | changes))))
    return song


def ask(song: Song) -> GetBundle:
    return GetBundle(track_id=song.track_id, version=song.version)


def running(info: BundleInfo) -> RunningBundle:
    ref = info.bundle
    return RunningBundle(bundle_sha256=ref.sha256, track_id=ref.track_id, version=ref.version)


async def refused(bundles: Bundles, question: GetBundle) -> tuple[str, int]:
    with pytest.raises(AnswerError) as found:
        await bundles.get_bundle(question)
    return found.value.code, found.value.status


async def test_the_bundle_of_a_version(
    bundles: Bundles, graphs: Graphs, song: Song, objects: ObjectStore, keys: KeyRing
) -> None:
    """What the gates look at: manifest, cost, F-measure and status; and where the bytes lie."""
    info = await bundles.get_bundle(ask(song))
    data = await objects.get_bytes(info.key)
    contents = read_bundle(data, {info.manifest.key_id: keys.public[0]})
    assert (info.bundle.size, info.manifest) == (len(data), contents.manifest)
    assert (info.bundle.track_id, info.bundle.version) == (song.track_id, 1)
    assert (info.f_measure, info.track_status) == (0.95, "ready")
    saved = await graphs.put_graph(PutGraph(track_id=song.track_id, version=1, graph=GRAPH))
    assert (info.runtime_estimate.est_ms, info.risk) == (saved.estimate.est_ms, "green")


async def test_whether_it_flashes_too_much(
    bundles: Bundles, graphs: Graphs, song: Song, pool: Pool, questions: Questions
) -> None:
    """Not known before a run; then as the report says, also where the report is too large to be kept at hand."""
    assert (await bundles.get_bundle(ask(song))).photosensitivity_passed is None
    await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    listed = (await questions.list_artefacts(GetVersion(track_id=song.track_id, version=1))).artefacts
    [report] = [each.inline_json for each in listed if each.type == "visual_report"]
    assert report
    told = report["photosensitivity"]["passed"]
    assert (await bundles.get_bundle(ask(song))).photosensitivity_passed is told
    update = "UPDATE catalogue.artefacts SET inline_json = $1 WHERE type = 'visual_report'"
    await pool.execute(update, None)
    assert (await bundles.get_bundle(ask(song))).photosensitivity_passed is told
    await pool.execute(update, '{"of": "another release"}')
    assert (await bundles.get_bundle(ask(song))).photosensitivity_passed is None


async def test_a_warning_is_told(bundles: Bundles, intake: Intake, objects: ObjectStore) -> None:
    """A low F-measure makes the version's status a warning; deploy decides what follows."""
    song = await analysed(intake, objects, content=genesis(f_measure=0.5))
    info = await bundles.get_bundle(ask(song))
    assert (info.f_measure, info.track_status) == (0.5, "warning")


async def test_no_bundle(
    bundles: Bundles, graphs: Graphs, intake: Intake, objects: ObjectStore, song: Song
) -> None:
    """Each reason has its own code: no such track, no such version, not analysed yet, edited since, never a graph."""
    assert await refused(bundles, GetBundle(track_id=new_id("trk"), version=1)) == ("track_not_found", 404)
    assert await refused(bundles, GetBundle(track_id=song.track_id, version=9)) == ("version_not_found", 404)
    waiting = Song()
    await intake.track_uploaded(event(waiting.uploaded()))
    assert await refused(bundles, ask(waiting)) == ("genesis_pending", 409)
    bare = await analysed(intake, objects, graph=None)
    assert await refused(bundles, ask(bare)) == ("bundle_missing", 409)
    await graphs.put_graph(PutGraph(track_id=song.track_id, version=1, graph=edited(77)))
    assert await refused(bundles, ask(song)) == ("bundle_missing", 409)
    await graphs.simulate(Simulate(track_id=song.track_id, version=1))
    assert (await bundles.get_bundle(ask(song))).manifest.track_id == song.track_id


async def test_a_bundle_whose_bytes_are_gone(bundles: Bundles, objects: ObjectStore, song: Song) -> None:
    """It is missing as well, with the same way out; garbage in its place counts as that."""
    key = (await bundles.get_bundle(ask(song))).key
    await objects.put_bytes(key, b"garbage", "application/cbor")
    fresh = Bundles(bundles.pool, objects)
    assert await refused(fresh, ask(song)) == ("bundle_missing", 409)
    await objects.delete(key)
    assert await refused(fresh, ask(song)) == ("bundle_missing", 409)


async def test_what_changes_on_a_device(
    bundles: Bundles, graphs: Graphs, intake: Intake, objects: ObjectStore, song: Song
) -> None:
    """By the graph in the bundle that runs, also when its version was edited since; of a bundle nobody knows, none."""
    old = await bundles.get_bundle(ask(song))
    await graphs.put_graph(PutGraph(track_id=song.track_id, version=1, graph=edited(77)))
    question = CompareGraphs(track_id=song.track_id, version=1, running=running(old))
    found = await bundles.compare(question)
    assert [(change.node, change.param) for change in found.changed_params] == [("pulse", "decay_ms")]
    assert (found.changed_nodes, found.against) == (["colour", "fill", "pulse", "strip"], "version 1")
    other = await analysed(intake, objects)
    elsewhere = await bundles.compare(CompareGraphs(track_id=other.track_id, version=1, running=running(old)))
    assert (elsewhere.changed_nodes, elsewhere.against) == ([], f"version 1 of {song.track_id}")
    unnamed = RunningBundle(bundle_sha256=old.bundle.sha256)
    again = await bundles.compare(question.model_copy(update={"running": unnamed}))
    assert again.against == f"the bundle {old.bundle.sha256[:12]}"
    with pytest.raises(AnswerError) as refused:
        await bundles.compare(question.model_copy(update={"running": RunningBundle(bundle_sha256="0" * 64)}))
    assert (refused.value.code, refused.value.status) == ("bundle_unknown", 404)


@pytest.mark.parametrize("data", [b"", b"\xa0", b"not cbor", b"\xff" * 100])
def test_no_head(data: bytes) -> None:
    """What is no bundle is said to be none."""
    with pytest.raises(BundleError):
        read_head(data)
