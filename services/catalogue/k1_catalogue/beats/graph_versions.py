"""Saves a graph as a new version of a track: the map and the beats of the edited version, another show and bundle.

A worker runs the graph; the version is ready when the query is answered.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from k1_catalogue import errors
from k1_catalogue.beats.override import BeatEdit, changes_between, request_hash
from k1_catalogue.beats.version_builder import MadeMap, NewGraph, VersionSource
from k1_catalogue.beats.version_writer import VersionWriter
from k1_catalogue.database import SCHEMA
from k1_catalogue.graphs import store as graph_store
from k1_catalogue.graphs.graph_changes import describe_changes
from k1_catalogue.graphs.graph_report import report_graph
from k1_catalogue.graphs.queries import RunGraph, require_match, require_valid
from k1_catalogue.graphs.revisions import Baseline, next_revision
from k1_catalogue.tracks.audit_store import current_author, write_audit_entry
from k1_catalogue.tracks.version_checks import require_version
from k1_contracts.graph import GraphDocument
from k1_contracts.messages.catalogue.graph_edits import (
    GRAPH_EDITED,
    GraphEdited,
    GraphVersionSaved,
    SaveGraphVersion,
)
from k1_contracts.messages.catalogue.graphs import SimulateGraph
from k1_contracts.tracks import Notice
from k1_graph.errors import GraphError
from k1_graph.reports.analysis import metrics
from k1_graph.reports.estimate import estimate
from k1_graph.validation.validator import compile_graph, validate
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import Connection
from k1_platform.processes.threads import in_thread

_OF_SHOW: Final = frozenset({"graph_failed", "bundle_failed"})
"""Warnings about the show of the edited version, which the new version does not have."""


@dataclass(frozen=True, slots=True)
class GraphVersions:
    """Makes the versions of graphs that people save as new versions."""

    writer: VersionWriter
    run_graph: RunGraph
    clock: Callable[[], datetime]

    async def save(self, query: SaveGraphVersion) -> GraphVersionSaved:
        """Make a version with this graph.

        Raises:
            QueryError: `graph_invalid`, `graph_changed`, `bundle_failed`, or an error of the worker.
            TransientError: the track changes too fast, or a store did not respond.
        """
        at = self.clock()
        change = _GraphChange(query, at)
        document, graph = await in_thread(require_valid, query.graph)
        source = await self.writer.read_source(change)
        if isinstance(source, GraphVersionSaved):
            return source
        genesis = source.own_map
        run = await self.run_graph(
            SimulateGraph(genesis_key=genesis.key, genesis_sha256=genesis.sha256, graph=document)
        )
        text = document.model_dump_json(exclude_none=True)
        baseline = Baseline(source.graph.document, f"version {source.version}") if source.graph else None
        report = await in_thread(report_graph, document, graph, baseline)
        made = MadeMap(
            summary=source.fields["summary"],
            warnings=_warnings_of_map(source),
            files=[genesis, *run.files],
            show_failed=None,
            graph=NewGraph(next_revision(None, text, at), report.files(text)),
        )
        change = replace(change, detail=describe_changes(report.impact))
        edit = await self._edit(query, source, at)
        try:
            return await self.writer.add(change, source, edit, made, at)
        except GraphError as error:
            raise errors.bundle_failed(error) from error

    async def _edit(self, query: SaveGraphVersion, source: VersionSource, at: datetime) -> BeatEdit:
        """Return the edit of the edited version's beats as that of the new version."""
        kept = source.edit
        if kept is None:
            beats = await self.writer.maps.get_beats(source.track_id, source.version)
            if beats is None:
                raise errors.genesis_missing(source.track_id, source.version)
            kept = BeatEdit(
                version=source.version,
                base_version=source.version,
                previous_version=source.version,
                removed=True,
                author=current_author(),
                created_at=at,
                changes=changes_between(beats.grid.beats_ms, beats.grid.beats_ms),
            )
        return replace(
            kept,
            version=source.next_version,
            previous_version=source.version,
            idempotency_key=query.idempotency_key,
            request_sha256=request_hash(query),
        )


@dataclass(frozen=True, slots=True)
class _GraphChange:
    """A request to save a graph as a new version."""

    query: SaveGraphVersion
    at: datetime
    detail: str = ""
    """Of the entry in the history."""

    async def respond(self, connection: Connection, edit: BeatEdit) -> GraphVersionSaved:
        """Return the response to the request that made this edit."""
        return await _response(connection, self.query.track_id, edit)

    async def require_unchanged(self, connection: Connection, source: VersionSource) -> None:
        """Raise `graph_changed` unless an entity tag of the query is that of the edited version's graph now."""
        current = await graph_store.current_graph(connection, source.track_id, source.version)
        require_match(current, self.query.if_match)

    async def record(self, connection: Connection, edit: BeatEdit) -> GraphVersionSaved:
        """Write the event for other services and the entry of the track's history."""
        response = await self.respond(connection, edit)
        event = GraphEdited(
            track_id=self.query.track_id,
            version=edit.version,
            revision=1,
            etag=response.etag,
            previous_version=edit.previous_version,
            author=current_author(),
            at=self.at,
        )
        await enqueue(connection, SCHEMA, GRAPH_EDITED, event, source="catalogue")
        detail = f"version {edit.version} from version {edit.previous_version}: {self.detail}"
        await write_audit_entry(
            connection, self.query.track_id, at=self.at, action="graph edited", detail=detail
        )
        return response


def _warnings_of_map(source: VersionSource) -> list[Notice]:
    warnings = [Notice.model_validate(warning) for warning in source.fields["warnings"]]
    return [warning for warning in warnings if warning.code not in _OF_SHOW]


async def _response(connection: Connection, track_id: str, edit: BeatEdit) -> GraphVersionSaved:
    fields = await require_version(connection, track_id, edit.version)
    saved = await graph_store.first_graph(connection, track_id, edit.version)
    assert saved is not None, "a version of a graph has its first revision"
    document = GraphDocument.model_validate_json(saved.document)
    graph = await in_thread(compile_graph, document)
    return GraphVersionSaved(
        track_id=track_id,
        version=edit.version,
        base_version=edit.base_version,
        previous_version=edit.previous_version,
        etag=saved.etag,
        status=fields["status"],
        validation=validate(document.model_dump(mode="json", exclude_none=True)),
        metrics=metrics(graph),
        estimate=estimate(graph),
        warnings=fields["warnings"],
    )
