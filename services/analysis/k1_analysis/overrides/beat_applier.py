"""Makes maps with beats that a person set: fetches the map of the analysis, has it changed in a worker, stores the result."""

import asyncio
import json
import secrets
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from k1_analysis.artefacts import MANIFEST
from k1_analysis.engine import ENGINE
from k1_analysis.overrides.tasks import OverrideRun, OverrideTask
from k1_analysis.shows.graph_simulator import fetch_map, run_in_worker, store_files
from k1_analysis.shows.show import show_identity
from k1_contracts.beats.grid import BeatGrid
from k1_contracts.messages.catalogue.beats import ApplyBeats, BeatsApplied
from k1_contracts.tracks import Notice
from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.storage.objects import ObjectNotFoundError, ObjectStore


@dataclass(frozen=True)
class BeatApplier:
    """Responds to ApplyBeats. The same map, beats and graph are worked on once: a repeated request finds the files."""

    objects: ObjectStore
    pool: WorkerPool

    async def apply(self, query: ApplyBeats) -> BeatsApplied:
        """Return the files and the figures of the map with these beats.

        Raises:
            QueryError: the map of the analysis is missing or differs, or the work failed.
            TransientError: the object store failed.
        """
        prefix = override_prefix(query)
        earlier = await self._find_earlier(prefix)
        if earlier is None:
            return await self._apply(query, prefix)
        if await self._has_all_files(earlier):
            return earlier
        # Another folder: here the files that are left would be replaced, and versions may refer to them.
        return await self._apply(query, f"{prefix}/again/{secrets.token_hex(16)}")

    async def _find_earlier(self, prefix: str) -> BeatsApplied | None:
        """Return an earlier result. Its manifest is stored again, because a cleanup removes no young folder."""
        try:
            manifest = await self.objects.get_bytes(f"{prefix}/{MANIFEST}")
        except ObjectNotFoundError:
            return None
        await self.objects.put_bytes(f"{prefix}/{MANIFEST}", manifest, "application/json")
        return BeatsApplied.model_validate_json(manifest)

    async def _has_all_files(self, applied: BeatsApplied) -> bool:
        """Return whether no file of an earlier result was removed since."""
        return all(await asyncio.gather(*(self.objects.exists(file.key) for file in applied.files)))

    async def _apply(self, query: ApplyBeats, prefix: str) -> BeatsApplied:
        with tempfile.TemporaryDirectory(prefix="k1-beats-") as folder:
            scratch = Path(folder)
            base = scratch / "base.genesis.json"
            await fetch_map(self.objects, query.genesis_key, query.genesis_sha256, base)
            grid = BeatGrid.of(query.beats_ms, query.downbeats)
            run: OverrideRun = await run_in_worker(self.pool, OverrideTask(base, grid, query.graph, scratch))
            await store_files(self.objects, run.files, scratch, prefix)
        applied = BeatsApplied(
            summary=run.summary,
            cemgil=run.cemgil,
            files=[file.stored(prefix) for file in run.files],
            warnings=list(run.warnings),
            show_failed=_notice(run.show_failed) if run.show_failed else None,
        )
        # Last: a stored manifest means that all files that it names are stored.
        await self.objects.put_bytes(f"{prefix}/{MANIFEST}", applied.to_json(), "application/json")
        return applied


def override_prefix(query: ApplyBeats) -> str:
    """Return the prefix of the files: the same for the same map, beats, graph and code."""
    identity = json.dumps(
        [query.model_dump(mode="json", exclude={"genesis_key"}), ENGINE, show_identity()], sort_keys=True
    )
    return f"overrides/{sha256(identity.encode()).hexdigest()}"


def _notice(reason: str) -> Notice:
    message = f"The map is good, but its graph could not be run: {reason}. Edit the graph, then simulate the version."
    return Notice(code="graph_failed", message=message)
