"""The artefacts of a show that the catalogue makes, kept in the object store: impact and signed bundle."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from k1_catalogue.artefacts import Result, kept, read_artefact
from k1_catalogue.graph_store import Baseline, StoredGraph, baseline, first_graph
from k1_catalogue.shows import File, bundle_file, compare, impact_file
from k1_catalogue.store import StoredArtefact
from k1_contracts.events import AnalysisCompleted
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import GraphDocument
from k1_contracts.tracks import Notice
from k1_graph.validation.validator import compile_graph
from k1_platform.database import Pool
from k1_platform.objects import ObjectStore
from k1_platform.threads import in_thread

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Show:
    """What the catalogue adds to a completed analysis."""

    graph: StoredGraph | None = None
    artefacts: tuple[StoredArtefact, ...] = ()
    warnings: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class ShowFiles:
    """Makes and stores them. The private key stays in this process, which never decodes audio."""

    pool: Pool
    objects: ObjectStore
    key: Ed25519PrivateKey

    async def of_analysis(self, fact: AnalysisCompleted, result: Result) -> Show:
        """Impact and bundle of a song that was just analysed.

        Without a graph there is nothing to add; whatever goes wrong with the show becomes a warning, as the map
        is good without it.

        Raises:
            PermanentError: the graph in the store is not the one told of.
            TransientError: a store did not answer.
        """
        ref = next((ref for ref in fact.artefacts if ref.type == "graph"), None)
        if ref is None:
            return Show()
        data = await read_artefact(self.objects, ref)
        async with self.pool.acquire() as connection:
            before = await baseline(connection, fact.track_id, fact.version)
        try:
            files = await in_thread(self._make, fact, result.genesis, data, before)
        except Exception as error:  # noqa: BLE001  a bug here must not keep the map from being told of
            _log.error("no bundle was made", extra={"track_id": fact.track_id}, exc_info=error)
            message = (
                f"No bundle could be made of this song's show: {error}. Edit the graph, or analyse again."
            )
            return Show(warnings=(Notice(code="bundle_failed", message=message),))
        artefacts = await self.store(files, fact.track_id, fact.version)
        return Show(first_graph(data.decode(), fact.completed_at), artefacts)

    async def bundle(
        self, genesis: GenesisMap, document: GraphDocument, track_id: str, version: int
    ) -> StoredArtefact:
        """The signed bundle of a graph that was simulated; raises GraphError as `bundle_file` does."""
        file = await in_thread(bundle_file, genesis, document, track_id, version, self.key)
        [stored] = await self.store([file], track_id, version)
        return stored

    async def store(self, files: Iterable[File], track_id: str, version: int) -> tuple[StoredArtefact, ...]:
        """Put the files where their hash says."""
        files = list(files)
        await asyncio.gather(
            *(self.objects.put_bytes(file.key, file.data, file.content_type) for file in files)
        )
        return tuple(kept(file.ref(track_id, version), file.data) for file in files)

    def _make(
        self, fact: AnalysisCompleted, genesis: GenesisMap, graph: bytes, before: Baseline | None
    ) -> list[File]:
        document = GraphDocument.model_validate_json(graph)
        change = compare(document, compile_graph(document), before)
        bundle = bundle_file(genesis, document, fact.track_id, fact.version, self.key)
        return [impact_file(change), bundle]
