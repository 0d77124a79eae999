"""Graph runs on request, with a real worker process and a real object store."""

from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from k1_analysis.shows.graph_simulator import GraphSimulator, run_prefix
from k1_analysis.shows.tasks import run_graph
from k1_contracts.graph import GraphDocument
from k1_contracts.messages.catalogue.graphs import SimulateGraph
from k1_graph.recommendation.recommender import recommend
from k1_graph.testing import synthetic_map
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.processes.worker_process import WorkerLimits
from k1_platform.storage.objects import ObjectStore


@pytest.fixture
async def simulator(objects: ObjectStore) -> AsyncIterator[GraphSimulator]:
    limits = WorkerLimits(timeout_s=600, memory_bytes=1 << 30)
    children = WorkerPool(
        run_graph, size=1, limits=limits, recycle_after=50, preload=["k1_analysis.jobs.tasks"]
    )
    children.start()
    yield GraphSimulator(objects, children)
    children.close()


async def make_query(objects: ObjectStore, unique: str, *, seconds: float = 4.0) -> SimulateGraph:
    genesis = synthetic_map(seconds * 1000)
    own = genesis.metadata.model_copy(update={"filename": f"{unique}.wav"})
    genesis = genesis.model_copy(update={"metadata": own})
    data = genesis.model_dump_json().encode()
    key = f"artefacts/{unique}/track.genesis.json"
    await objects.put_bytes(key, data, "application/json")
    return SimulateGraph(
        genesis_key=key, genesis_sha256=sha256(data).hexdigest(), graph=recommend(genesis, "edm").graph
    )


async def test_a_run_stores_its_files(simulator: GraphSimulator, objects: ObjectStore, unique: str) -> None:
    """The two reports and both previews, each under its hash; optimised and plain show the same pixels."""
    query = await make_query(objects, unique)
    found = await simulator.simulate(query)
    assert [file.name for file in found.files] == [
        "graph.executor.scale.json",
        "visual.report.json",
        "preview.png",
        "preview.bin",
    ]
    for file in found.files:
        assert sha256(await objects.get_bytes(file.key)).hexdigest() == file.sha256
    assert found.executor_scale.pixels_identical
    assert found.visual_report.frames_tested == found.executor_scale.frames == 200
    assert found.executor_scale.after_ms <= found.executor_scale.before_ms


async def test_a_run_that_lost_a_file_is_made_again(
    simulator: GraphSimulator, objects: ObjectStore, unique: str
) -> None:
    """In another folder, because versions may refer to the files that are left; a reused run becomes young again."""
    query = await make_query(objects, unique)
    first = await simulator.simulate(query)
    await objects.delete(first.files[0].key)
    again = await simulator.simulate(query)
    assert {file.key for file in again.files}.isdisjoint(file.key for file in first.files)
    assert all([await objects.exists(file.key) for file in again.files])


async def test_the_same_run_reuses_its_files(
    simulator: GraphSimulator, objects: ObjectStore, unique: str
) -> None:
    """Also if only the graph's `meta` has changed; another parameter is another run."""
    query = await make_query(objects, unique)
    first = await simulator.simulate(query)
    await objects.delete(query.genesis_key)
    described = query.graph.model_copy(update={"meta": {"said": "otherwise"}})
    assert await simulator.simulate(query.model_copy(update={"graph": described})) == first
    other = GraphDocument.model_validate_json(query.graph.model_dump_json().replace('"edm_bloom"', '"x"'))
    assert run_prefix(query) != run_prefix(query.model_copy(update={"graph": other}))


async def test_a_missing_or_different_map_is_refused(
    simulator: GraphSimulator, objects: ObjectStore, unique: str
) -> None:
    """The error names the next step."""
    query = await make_query(objects, unique)
    with pytest.raises(QueryError, match="not the one") as differs:
        await simulator.simulate(query.model_copy(update={"genesis_sha256": "0" * 64}))
    await objects.delete(query.genesis_key)
    with pytest.raises(QueryError, match="analyse the song again") as gone:
        await simulator.simulate(query)
    assert (differs.value.code, gone.value.code) == ("artefact_differs", "artefact_missing")


async def test_a_graph_that_cannot_run_gives_an_error(
    simulator: GraphSimulator, objects: ObjectStore, unique: str
) -> None:
    """The worker process raises, the error has the reason, and the next run works."""
    query = await make_query(objects, unique)
    broken = query.graph.model_copy(update={"nodes": query.graph.nodes[:1]})
    with pytest.raises(QueryError, match="cannot be run") as refused:
        await simulator.simulate(query.model_copy(update={"graph": broken}))
    assert (refused.value.code, refused.value.status) == ("simulation_failed", 422)
    assert (await simulator.simulate(query)).files
