"""Sample graphs, and a worker that runs graphs in this process."""

import copy
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from k1_contracts.genesis import GenesisMap
from k1_contracts.messages.catalogue.graphs import GraphSimulated, SimulateGraph
from k1_contracts.tracks import StoredFile
from k1_graph.reports.simulation import simulate
from k1_graph.validation.validator import compile_graph
from k1_platform.storage.objects import ObjectStore

GRAPH: Final[dict[str, Any]] = {
    "name": "plain_pulse",
    "version": "v1.0",
    "meta": {"template": "plain", "template_version": "1.0.0", "confidence": 0.8},
    "nodes": [
        {"id": "beat", "type": "MapBeat", "inputs": {}, "params": {}},
        {"id": "pulse", "type": "BeatPulse", "inputs": {"beat": "beat"}, "params": {"decay_ms": 300}},
        {"id": "colour", "type": "GradientMap", "inputs": {"index": "pulse"}, "params": {}},
        {"id": "fill", "type": "Fill", "inputs": {"color": "colour"}, "params": {}},
        {"id": "strip", "type": "LedOutput", "inputs": {"color": "fill"}, "params": {}},
    ],
}


def edited_graph(decay_ms: int) -> dict[str, Any]:
    """Return the graph with another decay of its pulse."""
    graph = copy.deepcopy(GRAPH)
    graph["nodes"][1]["params"]["decay_ms"] = decay_ms
    return graph


class InProcessWorker:
    """Runs graphs as a worker process does; `before_response` is called between the run and the response."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self.queries: list[SimulateGraph] = []
        self.before_response: Callable[[], Awaitable[object]] | None = None

    async def run(self, query: SimulateGraph) -> GraphSimulated:
        self.queries.append(query)
        data = await self._objects.get_bytes(query.genesis_key)
        assert hashlib.sha256(data).hexdigest() == query.genesis_sha256
        found = simulate(compile_graph(query.graph), GenesisMap.model_validate_json(data))
        contents = {
            ("graph_executor_scale", "graph.executor.scale.json"): found.scale.model_dump_json().encode(),
            ("visual_report", "visual.report.json"): found.visual.model_dump_json().encode(),
            ("preview", "preview.png"): found.preview_png,
            ("preview", "preview.bin"): found.preview_bin,
        }
        files = [await self._file(kind, name, content) for (kind, name), content in contents.items()]
        if self.before_response:
            await self.before_response()
        return GraphSimulated(executor_scale=found.scale, visual_report=found.visual, files=files)

    async def _file(self, kind: Any, name: str, content: bytes) -> StoredFile:
        sha256 = hashlib.sha256(content).hexdigest()
        media = {"json": "application/json", "png": "image/png"}.get(name.rpartition(".")[2], "application/x")
        await self._objects.put_bytes(f"runs/{sha256}", content, media)
        return StoredFile(
            type=kind,
            name=name,
            key=f"runs/{sha256}",
            size_bytes=len(content),
            sha256=sha256,
            content_type=media,
        )
