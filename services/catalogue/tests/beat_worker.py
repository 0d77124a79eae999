"""A worker that puts beats into stored maps and runs graphs in this process."""

import hashlib
import json

from k1_contracts.messages.catalogue.beats import ApplyBeats, BeatsApplied
from k1_contracts.messages.catalogue.graphs import SimulateGraph
from k1_contracts.tracks import AnalysisSummary, StoredFile
from services.catalogue.tests.graph_samples import InProcessWorker


class BeatWorker(InProcessWorker):
    """Puts beats into a stored map as a worker does, and runs the graph over it."""

    async def apply(self, query: ApplyBeats) -> BeatsApplied:
        data = await self._objects.get_bytes(query.genesis_key)
        assert hashlib.sha256(data).hexdigest() == query.genesis_sha256
        content = json.loads(data)
        count = len(query.beats_ms)
        content["layers"]["rhythm"] |= {
            "beat_grid_ms": query.beats_ms,
            "downbeat_ms": [query.beats_ms[index] for index in query.downbeats],
            "beat_strength": [1.0] * count,
            "beat_confidence": [1.0] * count,
        }
        content["layers"]["spectral"]["chroma"] = [[0.5] * count for _ in range(12)]
        content["global_metrics"] |= {"f_measure": 0.5, "f_measure_reference": "override", "bpm": 64.0}
        sha256 = hashlib.sha256(json.dumps(query.beats_ms).encode()).hexdigest()
        content["metadata"]["hashes"]["map_sha256"] = sha256
        made = await self._file("genesis_map", "track.genesis.json", json.dumps(content).encode())
        metrics = await self._file("metrics", "phase2b_metrics.json", b'{"f_measure": 0.5}')
        files: list[StoredFile] = [made, metrics]
        if query.graph is not None:
            run = SimulateGraph(genesis_key=made.key, genesis_sha256=made.sha256, graph=query.graph)
            files += (await self.run(run)).files
        summary = AnalysisSummary(
            duration_ms=20_000.0,
            bpm=64.0,
            beat_count=count,
            downbeat_count=len(query.downbeats),
            f_measure=0.5,
            f_measure_reference="override",
            time_signature="4/4",
            key="A",
            scale="minor",
            section_count=2,
        )
        return BeatsApplied(summary=summary, cemgil=0.4, files=files)
