"""Builds the impact report and the signed bundle of a show, and stores them in the object store."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from k1_catalogue.graphs.graph_report import GeneratedFile, bundle_file, compare_graphs, impact_file
from k1_catalogue.graphs.revisions import Baseline, GraphRevision, first_revision
from k1_catalogue.graphs.store import find_baseline
from k1_catalogue.tracks.artefact_store import NewArtefact
from k1_catalogue.tracks.artefacts import new_artefact, read_artefact
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import GraphDocument
from k1_contracts.messages.analysis import AnalysisCompleted
from k1_contracts.tracks import Notice
from k1_graph.validation.validator import compile_graph
from k1_platform.postgres.pool import Pool
from k1_platform.processes.threads import in_thread
from k1_platform.storage.objects import ObjectStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Show:
    """The parts of a completed analysis that the catalogue adds; all are empty if there is no graph."""

    graph: GraphRevision | None = None
    artefacts: tuple[NewArtefact, ...] = ()
    warnings: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class ShowBuilder:
    """Builds and stores shows. The private key stays in this process, which never decodes audio."""

    pool: Pool
    objects: ObjectStore
    key: Ed25519PrivateKey

    async def build_show(self, event: AnalysisCompleted, genesis: GenesisMap) -> Show:
        """Return the show of a completed analysis, whose files are stored.

        An error in building becomes a warning, because the map can be used without a show.

        Raises:
            PermanentError: the stored graph is missing or has another hash than in the event.
            TransientError: a store did not respond.
        """
        ref = next((ref for ref in event.artefacts if ref.type == "graph"), None)
        if ref is None:
            return Show()
        data = await read_artefact(self.objects, ref)
        async with self.pool.acquire() as connection:
            baseline = await find_baseline(connection, event.track_id, event.version)
        try:
            files = await in_thread(self._make_files, event, genesis, data, baseline)
        except Exception as error:  # noqa: BLE001  a bug here must not lose the map
            _log.error("no bundle could be made", extra={"track_id": event.track_id}, exc_info=error)
            message = (
                f"No bundle could be made of this song's show: {error}. Edit the graph, or analyse again."
            )
            return Show(warnings=(Notice(code="bundle_failed", message=message),))
        artefacts = await self.store_files(files, event.track_id, event.version)
        return Show(first_revision(data.decode(), event.completed_at), artefacts)

    async def build_bundle(
        self, genesis: GenesisMap, document: GraphDocument, track_id: str, version: int
    ) -> NewArtefact:
        """Return the signed bundle of a graph that was simulated; raise GraphError as `bundle_file` does."""
        file = await in_thread(self.bundle_file, genesis, document, track_id, version)
        [stored] = await self.store_files([file], track_id, version)
        return stored

    def bundle_file(
        self, genesis: GenesisMap, document: GraphDocument, track_id: str, version: int
    ) -> GeneratedFile:
        """Return the signed bundle without storing it; raise GraphError as `graph_report.bundle_file` does."""
        return bundle_file(genesis, document, track_id, version, self.key)

    async def store_files(
        self, files: Iterable[GeneratedFile], track_id: str, version: int
    ) -> tuple[NewArtefact, ...]:
        """Write the files into the object store, each under its key; return their entries."""
        files = list(files)
        await asyncio.gather(
            *(self.objects.put_bytes(file.key, file.data, file.content_type) for file in files)
        )
        return tuple(new_artefact(file.ref(track_id, version), file.data) for file in files)

    def _make_files(
        self, event: AnalysisCompleted, genesis: GenesisMap, graph: bytes, baseline: Baseline | None
    ) -> list[GeneratedFile]:
        document = GraphDocument.model_validate_json(graph)
        change = compare_graphs(document, compile_graph(document), baseline)
        bundle = self.bundle_file(genesis, document, event.track_id, event.version)
        return [impact_file(change), bundle]
