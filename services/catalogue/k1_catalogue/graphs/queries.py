"""Answers the queries about graphs: reading, editing and simulating them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pydantic_core
from pydantic import JsonValue

from k1_catalogue import errors
from k1_catalogue.database import SCHEMA
from k1_catalogue.graphs.graph_changes import describe_changes
from k1_catalogue.graphs.graph_report import RUN_ARTEFACTS, GraphReport, report_graph
from k1_catalogue.graphs.revisions import GraphRevision, next_revision
from k1_catalogue.graphs.show_builder import ShowBuilder
from k1_catalogue.graphs.store import current_graph, find_baseline, insert_revision, recommended_graph
from k1_catalogue.maps.map_json import parse_map
from k1_catalogue.tracks import artefact_store
from k1_catalogue.tracks import store as track_store
from k1_catalogue.tracks.artefact_store import NewArtefact, StoredArtefact
from k1_catalogue.tracks.artefacts import EXPECTED, URL_LIFETIME, new_artefact, read_artefact
from k1_catalogue.tracks.audit_store import current_author, write_audit_entry
from k1_catalogue.tracks.version_checks import require_map, require_song, require_version
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import GraphDocument
from k1_contracts.messages.catalogue.graph_edits import (
    GRAPH_EDITED,
    GRAPH_SIMULATED,
    GraphEdited,
    GraphSimulationStored,
    GraphValidated,
    ValidateGraph,
)
from k1_contracts.messages.catalogue.graphs import (
    GetGraph,
    GraphSaved,
    GraphSimulated,
    GraphView,
    PutGraph,
    Simulate,
    Simulated,
    SimulateGraph,
)
from k1_contracts.messages.catalogue.tracks import Artefact
from k1_contracts.tracks import ArtefactRef, StoredFile
from k1_graph.errors import GraphError, GraphInvalidError
from k1_graph.graph import Graph
from k1_graph.validation.validator import parse_graph, validate
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import Connection, Pool
from k1_platform.processes.threads import in_thread
from k1_platform.storage.objects import ObjectStore

RunGraph = Callable[[SimulateGraph], Awaitable[GraphSimulated]]
"""Runs a graph on a worker; raises the error of the worker."""


@dataclass(frozen=True, slots=True)
class GraphQueries:
    """Answers from the tables; `run_graph` leaves simulations to the workers."""

    pool: Pool
    objects: ObjectStore
    shows: ShowBuilder
    run_graph: RunGraph
    clock: Callable[[], datetime]

    async def get_graph(self, query: GetGraph) -> GraphView:
        """Return the latest graph of a version, or the one that was recommended for it."""
        find = recommended_graph if query.source == "recommended" else current_graph
        async with self.pool.acquire() as connection:
            fields = await require_version(connection, query.track_id, query.version)
            found = await find(connection, query.track_id, query.version)
        if found is None:
            require_map(fields, query.track_id)
            raise errors.graph_missing(query.track_id, query.version)
        return GraphView(
            graph=pydantic_core.from_json(found.document),
            etag=found.etag,
            revision=found.revision,
            source=found.source,
            created_at=found.created_at,
        )

    async def validate_graph(self, query: ValidateGraph) -> GraphValidated:
        """Return what `put_graph` would make of a graph, or every rule that it breaks."""
        track_id, version = query.track_id, query.version
        async with self.pool.acquire() as connection:
            require_map(await require_version(connection, track_id, version), track_id)
            baseline = await find_baseline(connection, track_id, version)
        validation = await in_thread(validate, query.graph)
        if not validation.ok:
            return GraphValidated(validation=validation)
        document, graph = await in_thread(parse_graph, query.graph)
        report = await in_thread(report_graph, document, graph, baseline)
        return GraphValidated(
            validation=validation, metrics=report.metrics, estimate=report.estimate, impact=report.impact
        )

    async def put_graph(self, query: PutGraph) -> GraphSaved:
        """Store an edit and its report, and remove the artefacts of earlier runs.

        The same graph again changes nothing.
        """
        track_id, version = query.track_id, query.version
        async with self.pool.acquire() as connection:
            require_map(await require_version(connection, track_id, version), track_id)
            baseline = await find_baseline(connection, track_id, version)
        document, graph = await in_thread(require_valid, query.graph)
        report = await in_thread(report_graph, document, graph, baseline)
        text = document.model_dump_json(exclude_none=True)
        artefacts = await self.shows.store_files(report.files(text), track_id, version)
        async with self.pool.acquire() as connection, connection.transaction():
            await require_song(connection, track_id)
            current = await current_graph(connection, track_id, version)
            require_match(current, query.if_match)
            edit = next_revision(current, text, self.clock())
            if current is None or current.etag != edit.etag:
                await _save_edit(connection, query, edit, artefacts, report)
                current = edit
            present = {each.artefact.name for each in await _artefacts(connection, track_id, version)}
        return GraphSaved(
            etag=current.etag,
            revision=current.revision,
            validation=report.validation,
            metrics=report.metrics,
            estimate=report.estimate,
            impact=report.impact,
            outdated=[name for kind, name in EXPECTED if kind in RUN_ARTEFACTS and name not in present],
        )

    async def simulate(self, query: Simulate) -> Simulated:
        """Run the version's graph, or the graph of the query as a trial, over the version's map.

        The artefacts of a run of the version's own graph are stored, with a new bundle, unless the graph was edited
        during the run.
        """
        track_id, version = query.track_id, query.version
        async with self.pool.acquire() as connection:
            require_map(await require_version(connection, track_id, version), track_id)
            current = await current_graph(connection, track_id, version)
            genesis = await _map_artefact(connection, track_id, version)
        is_trial = query.graph is not None
        document = await self._document(query, current)
        run = SimulateGraph(genesis_key=genesis.key, genesis_sha256=genesis.sha256, graph=document)
        result = await self.run_graph(run)
        artefacts = [_run_artefact(result, file, track_id, version) for file in result.files]
        if current is not None and not is_trial:
            artefacts.append(await self._bundle(genesis, document, track_id, version))
            await self._save_run(query, current, artefacts)
        return Simulated(
            before_ms=result.executor_scale.before_ms,
            after_ms=result.executor_scale.after_ms,
            cpu_pct_before=result.executor_scale.cpu_pct_before,
            cpu_pct_after=result.executor_scale.cpu_pct_after,
            saved=not is_trial,
            executor_scale=result.executor_scale,
            visual_report=result.visual_report,
            artefacts=[self._with_url(each) for each in artefacts],
        )

    async def _document(self, query: Simulate, current: GraphRevision | None) -> GraphDocument:
        if query.graph is not None:
            document, _ = await in_thread(require_valid, query.graph)
            return document
        if current is None:
            raise errors.graph_missing(query.track_id, query.version)
        return GraphDocument.model_validate_json(current.document)

    async def _bundle(
        self, genesis: ArtefactRef, document: GraphDocument, track_id: str, version: int
    ) -> NewArtefact:
        data = await read_artefact(self.objects, genesis)
        validated: GenesisMap = (await in_thread(parse_map, data))[1]
        try:
            return await self.shows.build_bundle(validated, document, track_id, version)
        except GraphError as error:
            raise errors.bundle_failed(error) from error

    async def _save_run(
        self, query: Simulate, simulated: GraphRevision, artefacts: Sequence[NewArtefact]
    ) -> None:
        track_id, version, at = query.track_id, query.version, self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            await require_song(connection, track_id)
            current = await current_graph(connection, track_id, version)
            if current is None or current.revision != simulated.revision:
                raise errors.graph_changed_during_simulation()
            await artefact_store.replace_artefacts(connection, track_id, version, artefacts, at)
            event = GraphSimulationStored(
                track_id=track_id, version=version, revision=simulated.revision, at=at
            )
            await enqueue(connection, SCHEMA, GRAPH_SIMULATED, event, source="catalogue")
            detail = f"version {version}, revision {simulated.revision}"
            await write_audit_entry(connection, track_id, at=at, action="graph simulated", detail=detail)

    def _with_url(self, new: NewArtefact) -> Artefact:
        ref = new.ref
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


def require_valid(raw: JsonValue) -> tuple[GraphDocument, Graph]:
    """Return a graph from untrusted JSON; raise QueryError `graph_invalid`, which names every violation."""
    try:
        return parse_graph(raw)
    except GraphInvalidError as error:
        found = error.validation
        message = f"The graph breaks {found.errors} rules; nothing was changed. First: {error}"
        raise errors.graph_invalid(message, found.violations) from error


def require_match(current: GraphRevision | None, if_match: Sequence[str] | None) -> None:
    """Raise `graph_changed` unless one of the entity tags is the current one, or there is no condition."""
    if if_match is None or (current is not None and (current.etag in if_match or "*" in if_match)):
        return
    raise errors.graph_changed()


async def _save_edit(
    connection: Connection,
    query: PutGraph,
    edit: GraphRevision,
    artefacts: Sequence[NewArtefact],
    report: GraphReport,
) -> None:
    track_id, version = query.track_id, query.version
    await insert_revision(connection, track_id, version, edit)
    await artefact_store.replace_artefacts(
        connection, track_id, version, artefacts, edit.created_at, outdated=RUN_ARTEFACTS
    )
    await track_store.set_updated_at(connection, track_id, edit.created_at)
    event = GraphEdited(
        track_id=track_id,
        version=version,
        revision=edit.revision,
        etag=edit.etag,
        author=current_author(),
        at=edit.created_at,
    )
    await enqueue(connection, SCHEMA, GRAPH_EDITED, event, source="catalogue")
    changes = f"{describe_changes(report.impact)}, compared with {report.impact.against}"
    detail = f"version {version}, revision {edit.revision}: {changes}"
    await write_audit_entry(connection, track_id, at=edit.created_at, action="graph edited", detail=detail)


async def _artefacts(connection: Connection, track_id: str, version: int) -> list[StoredArtefact]:
    return await artefact_store.artefacts_of_version(connection, track_id, version, inline=False)


async def _map_artefact(connection: Connection, track_id: str, version: int) -> ArtefactRef:
    for each in await _artefacts(connection, track_id, version):
        if each.artefact.type == "genesis_map":
            return ArtefactRef.model_validate({**each.artefact.model_dump(), "key": each.key})
    raise errors.genesis_missing(track_id, version)


def _run_artefact(result: GraphSimulated, file: StoredFile, track_id: str, version: int) -> NewArtefact:
    """Return the entry of a file that a worker has stored; the two reports are in the result itself."""
    ref = ArtefactRef.of(file, track_id, version)
    reports = {"graph_executor_scale": result.executor_scale, "visual_report": result.visual_report}
    report = reports.get(file.type)
    return new_artefact(ref, report.model_dump_json(exclude_none=True).encode() if report else b"")
