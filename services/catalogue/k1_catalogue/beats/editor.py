"""Saves and removes overrides of beats: each makes a new version, which is ready when the query is answered.

A worker makes the map and runs the graph.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from k1_catalogue import errors
from k1_catalogue.beats import store
from k1_catalogue.beats.operations import checked_grid
from k1_catalogue.beats.override import BeatEdit, changes_between, line_etag, request_hash
from k1_catalogue.beats.version_builder import MadeMap, VersionSource
from k1_catalogue.beats.version_writer import VersionWriter
from k1_catalogue.database import SCHEMA
from k1_catalogue.graphs import store as graph_store
from k1_catalogue.tracks.audit_store import current_author, write_audit_entry
from k1_catalogue.tracks.version_checks import require_version
from k1_contracts.graph import GraphDocument
from k1_contracts.messages.catalogue.beats import (
    BEATS_OVERRIDDEN,
    ApplyBeats,
    BeatOverrideSaved,
    BeatsApplied,
    BeatsOverridden,
    RemoveBeatOverride,
    SaveBeatOverride,
)
from k1_contracts.messages.catalogue.graphs import GraphSimulated, SimulateGraph
from k1_contracts.tracks import AnalysisSummary
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import Connection
from k1_platform.processes.threads import in_thread

ApplyOnWorker = Callable[[ApplyBeats], Awaitable[BeatsApplied]]
"""Makes a map with other beats on a worker; raises the error of the worker."""
RunOnWorker = Callable[[SimulateGraph], Awaitable[GraphSimulated]]


@dataclass(frozen=True, slots=True)
class BeatEditor:
    """Makes the versions of overrides."""

    writer: VersionWriter
    apply_beats: ApplyOnWorker
    run_graph: RunOnWorker
    clock: Callable[[], datetime]

    async def save(self, query: SaveBeatOverride) -> BeatOverrideSaved:
        """Make a version with the beats of a person.

        Raises:
            QueryError: `beats_invalid`, `override_changed`, `graph_changed`, or an error of the worker.
            TransientError: the track changes too fast, or a store did not respond.
        """
        change = _BeatChange(query)
        source = await self.writer.read_source(change)
        if isinstance(source, BeatOverrideSaved):
            return source
        current = await self.writer.maps.get_beats(query.track_id, query.version)
        automatic = await self.writer.maps.get_beats(query.track_id, source.base_version)
        if current is None or automatic is None:
            raise errors.genesis_missing(query.track_id, query.version)
        grid = await in_thread(
            checked_grid, query.given_ms, query.downbeats, current.grid, automatic.duration_ms
        )
        applied = await self.apply_beats(
            ApplyBeats(
                genesis_key=source.base_map.key,
                genesis_sha256=source.base_map.sha256,
                beats_ms=list(grid.beats_ms),
                downbeats=list(grid.downbeats),
                graph=_document(source),
            )
        )
        edit = replace(
            self._edit(query, source),
            note=query.note or None,
            changes=await in_thread(changes_between, automatic.grid.beats_ms, grid.beats_ms),
            f_measure=applied.summary.f_measure,
            cemgil=applied.cemgil,
        )
        made = MadeMap(applied.summary, applied.warnings, applied.files, applied.show_failed, grid)
        return await self.writer.add(change, source, edit, made, edit.created_at)

    async def remove(self, query: RemoveBeatOverride) -> BeatOverrideSaved:
        """Make a version with the automatic beats again, and the graph of the version.

        Raises:
            QueryError: `override_missing`, `override_changed`, `graph_changed`, or an error of the worker.
            TransientError: the track changes too fast, or a store did not respond.
        """
        change = _BeatChange(query)
        source = await self.writer.read_source(change)
        if isinstance(source, BeatOverrideSaved):
            return source
        current = await self.writer.maps.get_beats(query.track_id, source.base_version)
        if current is None:
            raise errors.genesis_missing(query.track_id, source.base_version)
        made = await self.writer.builder.automatic_map(source, _document(source), self.run_graph)
        beats = current.grid.beats_ms
        edit = replace(self._edit(query, source), removed=True, changes=changes_between(beats, beats))
        return await self.writer.add(change, source, edit, made, edit.created_at)

    def _edit(self, query: SaveBeatOverride | RemoveBeatOverride, source: VersionSource) -> BeatEdit:
        return BeatEdit(
            version=source.next_version,
            base_version=source.base_version,
            previous_version=query.version,
            removed=False,
            author=current_author(),
            created_at=self.clock(),
            changes=changes_between((), ()),
            idempotency_key=query.idempotency_key,
            request_sha256=request_hash(query),
        )


@dataclass(frozen=True, slots=True)
class _BeatChange:
    """A request to save or remove an override."""

    query: SaveBeatOverride | RemoveBeatOverride

    async def respond(self, connection: Connection, edit: BeatEdit) -> BeatOverrideSaved:
        """Return the response to the request that made this edit."""
        return await _response(connection, self.query.track_id, edit)

    async def require_unchanged(self, connection: Connection, source: VersionSource) -> None:
        """Raise an error unless an entity tag of the query is that of the line, or if the graph has changed."""
        latest = await store.latest_edit(connection, self.query.track_id, source.base_version)
        _require_match(self.query, source.base_version, latest)
        if isinstance(self.query, RemoveBeatOverride) and (latest is None or latest.removed):
            raise errors.override_missing(self.query.track_id, source.base_version)
        graph = await graph_store.current_graph(connection, self.query.track_id, self.query.version)
        if (graph and graph.etag) != (source.graph and source.graph.etag):
            raise errors.graph_changed_during_override()

    async def record(self, connection: Connection, edit: BeatEdit) -> BeatOverrideSaved:
        """Write the event for other services and the entry of the track's history."""
        response = await self.respond(connection, edit)
        await _record(connection, edit, response)
        return response


def _document(source: VersionSource) -> GraphDocument | None:
    return GraphDocument.model_validate_json(source.graph.document) if source.graph else None


def _require_match(
    query: SaveBeatOverride | RemoveBeatOverride, base_version: int, latest: BeatEdit | None
) -> None:
    """Raise `override_changed` unless an entity tag of the query is that of the line, or there is no condition."""
    if query.if_match is None or "*" in query.if_match:
        return
    if (
        line_etag(query.track_id, base_version, latest.version if latest else base_version)
        not in query.if_match
    ):
        raise errors.override_changed()


async def _record(connection: Connection, edit: BeatEdit, response: BeatOverrideSaved) -> None:
    """Write the event for other services and, last in the transaction, the entry of the track's history."""
    changes = edit.changes
    detail = f"version {edit.version} from version {edit.previous_version}"
    if not edit.removed:
        detail += f": {changes.moved_count} beats moved, {changes.added_count} added, {changes.removed_count} removed"
    action = "beats restored" if edit.removed else "beats overridden"
    event = BeatsOverridden(
        track_id=response.track_id,
        version=edit.version,
        base_version=edit.base_version,
        previous_version=edit.previous_version,
        removed=edit.removed,
        etag=response.etag,
        bpm=response.bpm,
        beat_count=response.beat_count,
        f_measure=response.f_measure,
        f_measure_reference=response.f_measure_reference,
        cemgil=edit.cemgil,
        moved=changes.moved_count,
        added=changes.added_count,
        deleted=changes.removed_count,
        note=edit.note,
        author=edit.author,
        at=edit.created_at,
    )
    await enqueue(connection, SCHEMA, BEATS_OVERRIDDEN, event, source="catalogue")
    await write_audit_entry(
        connection,
        response.track_id,
        at=edit.created_at,
        action=action,
        detail=detail,
    )


async def _response(connection: Connection, track_id: str, edit: BeatEdit) -> BeatOverrideSaved:
    fields = await require_version(connection, track_id, edit.version)
    summary: AnalysisSummary = fields["summary"]
    return BeatOverrideSaved(
        track_id=track_id,
        version=edit.version,
        base_version=edit.base_version,
        previous_version=edit.previous_version,
        removed=edit.removed,
        etag=line_etag(track_id, edit.base_version, edit.version),
        status=fields["status"],
        bpm=summary.bpm,
        beat_count=summary.beat_count,
        downbeat_count=summary.downbeat_count,
        f_measure=summary.f_measure,
        f_measure_reference=summary.f_measure_reference,
        cemgil=edit.cemgil,
        changes=edit.changes,
        warnings=fields["warnings"],
    )
