"""Runs graphs on request: reads the map, runs the graph in a worker process, and stores the results."""

import asyncio
import json
import logging
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from k1_analysis.artefacts import MANIFEST, ArtefactFile, content_type
from k1_analysis.shows.show import GraphRun, show_identity
from k1_analysis.shows.tasks import MAP_NAME, GraphRunTask
from k1_contracts.messages.catalogue.graphs import GraphSimulated, SimulateGraph
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.processes.threads import in_thread
from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.processes.worker_process import WorkerFailedError, WorkError
from k1_platform.storage.objects import ObjectNotFoundError, ObjectStore

_BUSY: Final = 503
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GraphSimulator:
    """Responds to SimulateGraph. The same map and graph run once: their files are stored under the hash of both."""

    objects: ObjectStore
    pool: WorkerPool

    async def simulate(self, query: SimulateGraph) -> GraphSimulated:
        """Return the reports and the files of the graph run with the map.

        Raises:
            QueryError: the map is missing or differs, or the run failed.
            TransientError: the object store failed.
        """
        prefix = run_prefix(query)
        earlier = await self._find_earlier(prefix)
        if earlier is None:
            return await self._run(query, prefix)
        if await self._has_all_files(earlier):
            return earlier
        # Another folder: here the files that are left would be replaced, and versions may refer to them.
        return await self._run(query, f"{prefix}/again/{secrets.token_hex(16)}")

    async def _find_earlier(self, prefix: str) -> GraphSimulated | None:
        """Return an earlier run. Its manifest is stored again, because a cleanup removes no young folder."""
        try:
            manifest = await self.objects.get_bytes(f"{prefix}/{MANIFEST}")
        except ObjectNotFoundError:
            return None
        await self.objects.put_bytes(f"{prefix}/{MANIFEST}", manifest, "application/json")
        return GraphSimulated.model_validate_json(manifest)

    async def _has_all_files(self, simulated: GraphSimulated) -> bool:
        """Return whether no file of an earlier run was removed since."""
        return all(await asyncio.gather(*(self.objects.exists(file.key) for file in simulated.files)))

    async def _run(self, query: SimulateGraph, prefix: str) -> GraphSimulated:
        with tempfile.TemporaryDirectory(prefix="k1-graph-") as folder:
            scratch = Path(folder)
            genesis = scratch / MAP_NAME
            await fetch_map(self.objects, query.genesis_key, query.genesis_sha256, genesis)
            run: GraphRun = await run_in_worker(self.pool, GraphRunTask(genesis, query.graph, scratch))
            await store_files(self.objects, run.files, scratch, prefix)
        simulated = GraphSimulated(
            executor_scale=run.scale,
            visual_report=run.visual,
            files=[file.stored(prefix) for file in run.files],
        )
        # Last: a stored manifest means that all files that it names are stored.
        await self.objects.put_bytes(f"{prefix}/{MANIFEST}", simulated.to_json(), "application/json")
        return simulated


async def fetch_map(objects: ObjectStore, key: str, expected_sha256: str, path: Path) -> None:
    """Write a stored map to `path`; raise QueryError if it is missing or differs."""
    try:
        data = await objects.get_bytes(key)
    except ObjectNotFoundError as error:
        message = "The map is no longer in the object store; analyse the song again."
        raise QueryError("artefact_missing", message, 404) from error
    if sha256(data).hexdigest() != expected_sha256:
        message = "The map in the object store is not the one that was analysed; analyse the song again."
        raise QueryError("artefact_differs", message, 409)
    await in_thread(path.write_bytes, data)


async def run_in_worker(pool: WorkerPool, task: object) -> Any:
    """Return the result of a task; raise QueryError `simulation_failed` if it or its process failed."""
    try:
        return await pool.run(task)
    except WorkError as error:
        _log.exception("a graph run failed", extra={"trace": error.trace})
        raise QueryError("simulation_failed", f"The graph cannot be run: {error}", 422) from error
    except WorkerFailedError as error:
        message = f"The simulation ended early: {error}. Try again, or with a smaller graph."
        raise QueryError("simulation_failed", message, _BUSY) from error


async def store_files(objects: ObjectStore, made: Sequence[ArtefactFile], scratch: Path, prefix: str) -> None:
    """Store the files of a run under a prefix."""
    await asyncio.gather(
        *(
            objects.put_bytes(
                f"{prefix}/{file.name}", (scratch / file.name).read_bytes(), content_type(file.name)
            )
            for file in made
        )
    )


def run_prefix(query: SimulateGraph) -> str:
    """Return the prefix of the files of this run. The graph's `meta` is left out: it does not affect the show."""
    graph = query.graph.model_dump(mode="json", exclude={"meta": True, "nodes": {"__all__": {"meta"}}})
    identity = json.dumps([query.genesis_sha256, graph, show_identity()], sort_keys=True)
    return f"runs/{sha256(identity.encode()).hexdigest()}"
