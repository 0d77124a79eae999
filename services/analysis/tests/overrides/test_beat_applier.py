"""Beats put into stored maps on request, with a real worker process and a real object store."""

from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from k1_analysis.overrides.beat_applier import BeatApplier
from k1_analysis.overrides.tasks import run_on_request
from k1_contracts.genesis import GenesisMap
from k1_contracts.messages.catalogue.beats import ApplyBeats
from k1_graph.recommendation.recommender import recommend
from k1_graph.testing import synthetic_map
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.processes.worker_process import WorkerLimits
from k1_platform.storage.objects import ObjectStore

BEATS = [float(time) for time in range(300, 4000, 500)]


@pytest.fixture
async def applier(objects: ObjectStore) -> AsyncIterator[BeatApplier]:
    limits = WorkerLimits(timeout_s=600, memory_bytes=1 << 30)
    children = WorkerPool(
        run_on_request, size=1, limits=limits, recycle_after=50, preload=["k1_analysis.overrides.tasks"]
    )
    children.start()
    yield BeatApplier(objects, children)
    children.close()


async def make_query(objects: ObjectStore, unique: str) -> ApplyBeats:
    genesis = synthetic_map(4000.0)
    own = genesis.metadata.model_copy(update={"filename": f"{unique}.wav"})
    genesis = genesis.model_copy(update={"metadata": own})
    data = genesis.model_dump_json().encode()
    key = f"artefacts/{unique}/track.genesis.json"
    await objects.put_bytes(key, data, "application/json")
    return ApplyBeats(
        genesis_key=key,
        genesis_sha256=sha256(data).hexdigest(),
        beats_ms=BEATS,
        downbeats=[1, 5],
        graph=recommend(genesis, "edm").graph,
    )


async def test_the_map_and_the_show_are_stored(
    applier: BeatApplier, objects: ObjectStore, unique: str
) -> None:
    """Each file under its hash; the same request again is answered from them, also if the first map is gone."""
    query = await make_query(objects, unique)
    found = await applier.apply(query)
    assert [file.type for file in found.files] == [
        "genesis_map",
        "metrics",
        "graph_executor_scale",
        "visual_report",
        "preview",
        "preview",
    ]
    stored = [await objects.get_bytes(file.key) for file in found.files]
    assert [sha256(data).hexdigest() for data in stored] == [file.sha256 for file in found.files]
    genesis = GenesisMap.model_validate_json(stored[0])
    assert genesis.layers.rhythm.beat_grid_ms == BEATS
    assert genesis.layers.rhythm.downbeat_ms == [800.0, 2800.0]
    assert (found.summary.f_measure_reference, found.summary.beat_count) == ("override", len(BEATS))
    assert found.cemgil == genesis.global_metrics.cemgil
    await objects.delete(query.genesis_key)
    assert await applier.apply(query) == found
    with pytest.raises(QueryError) as gone:
        await applier.apply(query.model_copy(update={"downbeats": [0]}))
    assert gone.value.code == "artefact_missing"


async def test_a_graph_that_cannot_run_leaves_the_map(
    applier: BeatApplier, objects: ObjectStore, unique: str
) -> None:
    query = await make_query(objects, unique)
    assert query.graph is not None
    broken = query.graph.model_copy(update={"nodes": query.graph.nodes[:1]})
    found = await applier.apply(query.model_copy(update={"graph": broken}))
    assert [file.type for file in found.files] == ["genesis_map", "metrics"]
    assert found.show_failed is not None
    assert found.show_failed.code == "graph_failed"
    assert (await applier.apply(query.model_copy(update={"graph": None}))).show_failed is None
