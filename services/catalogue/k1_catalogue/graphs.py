"""Answers about graphs: reading, editing and simulating them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pydantic_core
from pydantic import JsonValue

from k1_catalogue import details, errors, store
from k1_catalogue.artefacts import EXPECTED, kept, parse_map, read_artefact
from k1_catalogue.graph_store import (
    StoredGraph,
    baseline,
    current_graph,
    insert_graph,
    next_graph,
    replace_artefacts,
    touch_track,
)
from k1_catalogue.questions import URL_LIFETIME, find_version_or_refuse, require_map
from k1_catalogue.show_files import ShowFiles
from k1_catalogue.shows import RUN_ARTEFACTS, Figures, figures
from k1_catalogue.store import StoredArtefact
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import GraphDocument
from k1_contracts.graph_queries import (
    GetGraph,
    GraphSaved,
    GraphSimulated,
    GraphView,
    PutGraph,
    Simulate,
    Simulated,
    SimulateGraph,
)
from k1_contracts.queries import Artefact
from k1_contracts.tracks import ArtefactRef, StoredFile
from k1_graph.errors import GraphError, GraphInvalidError
from k1_graph.graph import Graph
from k1_graph.validation.validator import parse_graph
from k1_platform.database import Connection, Pool
from k1_platform.objects import ObjectStore
from k1_platform.rpc import AnswerError
from k1_platform.threads import in_thread

RunGraph = Callable[[SimulateGraph], Awaitable[GraphSimulated]]
"""Asks a worker to run a graph; raises AnswerError."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """Answers from the tables; runs are left to the workers."""

    pool: Pool
    objects: ObjectStore
    shows: ShowFiles
    run_graph: RunGraph
    clock: Callable[[], datetime]

    async def get_graph(self, question: GetGraph) -> GraphView:
        """The graph that a version has now."""
        async with self.pool.acquire() as connection:
            fields = await find_version_or_refuse(connection, question.track_id, question.version)
            found = await current_graph(connection, question.track_id, question.version)
        if found is None:
            require_map(fields, question.track_id)
            raise errors.graph_missing(question.track_id, question.version)
        return GraphView(
            graph=pydantic_core.from_json(found.document),
            etag=found.etag,
            revision=found.revision,
            source=found.source,
            created_at=found.created_at,
        )

    async def put_graph(self, question: PutGraph) -> GraphSaved:
        """Keep an edit: all that can be told of it is computed at once, what a run had shown is taken away.

        The same graph again changes nothing.
        """
        track_id, version = question.track_id, question.version
        async with self.pool.acquire() as connection:
            require_map(await find_version_or_refuse(connection, track_id, version), track_id)
            before = await baseline(connection, track_id, version)
        document, graph = await in_thread(_parse, question.graph)
        found = await in_thread(figures, document, graph, before)
        text = document.model_dump_json(exclude_none=True)
        artefacts = await self.shows.store(found.files(text), track_id, version)
        async with self.pool.acquire() as connection, connection.transaction():
            await store.lock_track(connection, track_id)
            held = await current_graph(connection, track_id, version)
            _require_match(held, question.if_match)
            edit = next_graph(held, text, self.clock())
            if held is None or held.etag != edit.etag:
                await _save_edit(connection, question, edit, artefacts, found)
                held = edit
            present = {each.artefact.name for each in await _artefacts(connection, track_id, version)}
        return GraphSaved(
            etag=held.etag,
            revision=held.revision,
            validation=found.validation,
            metrics=found.metrics,
            estimate=found.estimate,
            impact=found.impact,
            outdated=[name for kind, name in EXPECTED if kind in RUN_ARTEFACTS and name not in present],
        )

    async def simulate(self, question: Simulate) -> Simulated:
        """Run the version's graph, or one to try, over the version's map.

        What the version's own graph showed is kept, with a new bundle, unless the graph was edited meanwhile.
        """
        track_id, version = question.track_id, question.version
        async with self.pool.acquire() as connection:
            require_map(await find_version_or_refuse(connection, track_id, version), track_id)
            held = await current_graph(connection, track_id, version)
            genesis = await _map_artefact(connection, track_id, version)
        tried = question.graph is not None
        document = await self._document(question, held)
        run = SimulateGraph(genesis_key=genesis.key, genesis_sha256=genesis.sha256, graph=document)
        done = await self.run_graph(run)
        artefacts = [_kept_run(done, file, track_id, version) for file in done.files]
        if held is not None and not tried:
            bundle = await self._bundle(genesis, document, track_id, version)
            artefacts.append(bundle)
            await self._save_run(question, held, artefacts)
        return Simulated(
            before_ms=done.executor_scale.before_ms,
            after_ms=done.executor_scale.after_ms,
            cpu_pct_before=done.executor_scale.cpu_pct_before,
            cpu_pct_after=done.executor_scale.cpu_pct_after,
            saved=not tried,
            executor_scale=done.executor_scale,
            visual_report=done.visual_report,
            artefacts=[self._shown(each) for each in artefacts],
        )

    async def _document(self, question: Simulate, held: StoredGraph | None) -> GraphDocument:
        if question.graph is not None:
            document, _ = await in_thread(_parse, question.graph)
            return document
        if held is None:
            raise errors.graph_missing(question.track_id, question.version)
        return GraphDocument.model_validate_json(held.document)

    async def _bundle(
        self, genesis: ArtefactRef, document: GraphDocument, track_id: str, version: int
    ) -> StoredArtefact:
        data = await read_artefact(self.objects, genesis)
        checked: GenesisMap = (await in_thread(parse_map, data))[1]
        try:
            return await self.shows.bundle(checked, document, track_id, version)
        except GraphError as error:
            raise AnswerError(
                "bundle_failed", f"No bundle can be made of this graph: {error}", 422
            ) from error

    async def _save_run(
        self, question: Simulate, held: StoredGraph, artefacts: Sequence[StoredArtefact]
    ) -> None:
        track_id, version, at = question.track_id, question.version, self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            await store.lock_track(connection, track_id)
            now = await current_graph(connection, track_id, version)
            if now is None or now.revision != held.revision:
                raise errors.graph_changed_meanwhile()
            await replace_artefacts(connection, track_id, version, artefacts, at)
            detail = f"version {version}, revision {held.revision}"
            await store.audit_track(
                connection, track_id, at=at, actor="person", action="graph simulated", detail=detail
            )

    def _shown(self, stored: StoredArtefact) -> Artefact:
        ref = stored.ref
        return Artefact(
            id=ref.id,
            type=ref.type,
            name=ref.name,
            status="present",
            size_bytes=ref.size_bytes,
            sha256=ref.sha256,
            content_type=ref.content_type,
            url=self.objects.signed_url(ref.key, expires=URL_LIFETIME),
        )


def _parse(raw: JsonValue) -> tuple[GraphDocument, Graph]:
    try:
        return parse_graph(raw)
    except GraphInvalidError as error:
        found = error.validation
        message = f"The graph breaks {found.errors} rules; nothing was changed. First: {error}"
        raise errors.graph_invalid(message, found.violations) from error


def _require_match(held: StoredGraph | None, wanted: Sequence[str] | None) -> None:
    if wanted is None or (held is not None and (held.etag in wanted or "*" in wanted)):
        return
    raise errors.graph_changed()


async def _save_edit(
    connection: Connection,
    question: PutGraph,
    edit: StoredGraph,
    artefacts: Sequence[StoredArtefact],
    found: Figures,
) -> None:
    track_id, version = question.track_id, question.version
    await insert_graph(connection, track_id, version, edit)
    await replace_artefacts(connection, track_id, version, artefacts, edit.created_at, outdated=RUN_ARTEFACTS)
    await touch_track(connection, track_id, edit.created_at)
    changed = len(found.impact.changed_nodes) + len(found.impact.removed_nodes)
    detail = (
        f"version {version}, revision {edit.revision}: {changed} nodes differ from {found.impact.against}"
    )
    await store.audit_track(
        connection, track_id, at=edit.created_at, actor="person", action="graph edited", detail=detail
    )


async def _artefacts(connection: Connection, track_id: str, version: int) -> list[details.KeptArtefact]:
    return await details.artefacts_of_version(connection, track_id, version, inline=False)


async def _map_artefact(connection: Connection, track_id: str, version: int) -> ArtefactRef:
    for each in await _artefacts(connection, track_id, version):
        if each.artefact.type == "genesis_map":
            return ArtefactRef.model_validate({**each.artefact.model_dump(), "key": each.key})
    raise errors.genesis_missing(track_id, version)


def _kept_run(done: GraphSimulated, file: StoredFile, track_id: str, version: int) -> StoredArtefact:
    ref = ArtefactRef.of(file, track_id, version)
    report = {"graph_executor_scale": done.executor_scale, "visual_report": done.visual_report}.get(file.type)
    return kept(ref, report.model_dump_json(exclude_none=True).encode() if report else b"")
