"""Runs of graphs that a person waits for: fetch the map, run in a child, store what was shown."""

import asyncio
import json
import logging
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final

from k1_analysis.child_work import RunJob
from k1_analysis.job import MANIFEST, content_type
from k1_analysis.show import Run, show_identity
from k1_contracts.messages.graphs import GraphSimulated, SimulateGraph
from k1_platform.children import ChildFailedError, ChildPool, WorkRaisedError
from k1_platform.objects import ObjectMissingError, ObjectStore
from k1_platform.rpc import AnswerError
from k1_platform.threads import in_thread

_BUSY: Final = 503
_log = logging.getLogger(__name__)


class GraphRuns:
    """Answers SimulateGraph. The same map and graph are run once: their files lie under the hash of both."""

    def __init__(self, objects: ObjectStore, children: ChildPool) -> None:
        self._objects = objects
        self._children = children

    async def run(self, question: SimulateGraph) -> GraphSimulated:
        """What the graph shows over the map.

        Raises:
            AnswerError: the map is not there, or the run failed.
            TransientError: the object store failed.
        """
        prefix = run_prefix(question)
        try:
            done = await self._objects.get_bytes(f"{prefix}/{MANIFEST}")
        except ObjectMissingError:
            return await self._run(question, prefix)
        return GraphSimulated.model_validate_json(done)

    async def _run(self, question: SimulateGraph, prefix: str) -> GraphSimulated:
        with tempfile.TemporaryDirectory(prefix="k1-graph-") as folder:
            scratch = Path(folder)
            genesis = scratch / "track.genesis.json"
            await self._fetch(question, genesis)
            run = await self._in_child(RunJob(genesis, question.graph, scratch))
            await asyncio.gather(
                *(
                    self._objects.put_bytes(
                        f"{prefix}/{file.name}", (scratch / file.name).read_bytes(), content_type(file.name)
                    )
                    for file in run.files
                )
            )
        found = GraphSimulated(
            executor_scale=run.scale,
            visual_report=run.visual,
            files=[file.stored(prefix) for file in run.files],
        )
        # Last: where the manifest lies, everything that it names lies.
        await self._objects.put_bytes(f"{prefix}/{MANIFEST}", found.to_json(), "application/json")
        return found

    async def _fetch(self, question: SimulateGraph, path: Path) -> None:
        try:
            data = await self._objects.get_bytes(question.genesis_key)
        except ObjectMissingError as error:
            message = "The map is no longer in the object store; analyse the song again."
            raise AnswerError("artefact_missing", message, 404) from error
        if sha256(data).hexdigest() != question.genesis_sha256:
            message = "The map in the object store is not the one that was analysed; analyse the song again."
            raise AnswerError("artefact_differs", message, 409)
        await in_thread(path.write_bytes, data)

    async def _in_child(self, job: RunJob) -> Run:
        try:
            return await self._children.run(job)
        except WorkRaisedError as error:
            _log.exception("a graph failed", extra={"trace": error.trace})
            raise AnswerError("simulation_failed", f"The graph cannot be run: {error}", 422) from error
        except ChildFailedError as error:
            message = f"The simulation ended early: {error}. Try again, or with a smaller graph."
            raise AnswerError("simulation_failed", message, _BUSY) from error


def run_prefix(question: SimulateGraph) -> str:
    """Where the files of this run lie; the graph's `meta` changes nothing of what it shows."""
    graph = question.graph.model_dump(mode="json", exclude={"meta": True, "nodes": {"__all__": {"meta"}}})
    identity = json.dumps([question.genesis_sha256, graph, show_identity()], sort_keys=True)
    return f"runs/{sha256(identity.encode()).hexdigest()}"
