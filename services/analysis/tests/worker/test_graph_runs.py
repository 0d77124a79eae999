"""Runs of graphs that a person waits for: a real child, a real object store."""

from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from k1_analysis.child_work import run_graph
from k1_analysis.graph_runs import GraphRuns, run_prefix
from k1_contracts.graph import GraphDocument
from k1_contracts.graph_queries import SimulateGraph
from k1_graph.recommendation.recommender import recommend
from k1_graph.testing import synthetic_map
from k1_platform.children import ChildPool, Limits
from k1_platform.objects import ObjectStore
from k1_platform.rpc import AnswerError


@pytest.fixture
async def runs(objects: ObjectStore) -> AsyncIterator[GraphRuns]:
    limits = Limits(timeout_s=600, memory_bytes=1 << 30)
    children = ChildPool(
        run_graph, size=1, limits=limits, recycle_after=50, preload=["k1_analysis.child_work"]
    )
    children.start()
    yield GraphRuns(objects, children)
    children.close()


async def question(objects: ObjectStore, unique: str, *, seconds: float = 4.0) -> SimulateGraph:
    genesis = synthetic_map(seconds * 1000)
    own = genesis.metadata.model_copy(update={"filename": f"{unique}.wav"})
    genesis = genesis.model_copy(update={"metadata": own})
    data = genesis.model_dump_json().encode()
    key = f"artefacts/{unique}/track.genesis.json"
    await objects.put_bytes(key, data, "application/json")
    return SimulateGraph(
        genesis_key=key, genesis_sha256=sha256(data).hexdigest(), graph=recommend(genesis, "edm").graph
    )


async def test_a_run_leaves_its_files_in_the_store(
    runs: GraphRuns, objects: ObjectStore, unique: str
) -> None:
    """The two reports and both previews, each under its hash; optimised and plain show the same pixels."""
    asked = await question(objects, unique)
    found = await runs.run(asked)
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


async def test_the_same_run_is_answered_from_its_files(
    runs: GraphRuns, objects: ObjectStore, unique: str
) -> None:
    """Also when only what is said about the graph has changed; another parameter is another run."""
    asked = await question(objects, unique)
    first = await runs.run(asked)
    await objects.delete(asked.genesis_key)
    told = asked.graph.model_copy(update={"meta": {"said": "otherwise"}})
    assert await runs.run(asked.model_copy(update={"graph": told})) == first
    other = GraphDocument.model_validate_json(asked.graph.model_dump_json().replace('"edm_bloom"', '"x"'))
    assert run_prefix(asked) != run_prefix(asked.model_copy(update={"graph": other}))


async def test_a_map_that_is_gone_or_another_is_refused(
    runs: GraphRuns, objects: ObjectStore, unique: str
) -> None:
    """With what to do."""
    asked = await question(objects, unique)
    with pytest.raises(AnswerError, match="not the one") as differs:
        await runs.run(asked.model_copy(update={"genesis_sha256": "0" * 64}))
    await objects.delete(asked.genesis_key)
    with pytest.raises(AnswerError, match="analyse the song again") as gone:
        await runs.run(asked)
    assert (differs.value.code, gone.value.code) == ("artefact_differs", "artefact_missing")


async def test_a_graph_that_cannot_run_is_an_answer(
    runs: GraphRuns, objects: ObjectStore, unique: str
) -> None:
    """The child raises, the person reads why, and the next run works."""
    asked = await question(objects, unique)
    broken = asked.graph.model_copy(update={"nodes": asked.graph.nodes[:1]})
    with pytest.raises(AnswerError, match="cannot be run") as refused:
        await runs.run(asked.model_copy(update={"graph": broken}))
    assert (refused.value.code, refused.value.status) == ("simulation_failed", 422)
    assert (await runs.run(asked)).files
