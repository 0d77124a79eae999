"""Saves and removes overrides of beats: each makes a new version, which is ready when the query is answered.

A worker makes the map and runs the graph; nothing is visible until one transaction adds the version with everything
that belongs to it. A process that dies before leaves files without a reference and perhaps a map of a version that does
not exist, which the next version overwrites.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from k1_catalogue import errors
from k1_catalogue.beats import store
from k1_catalogue.beats.operations import checked_grid
from k1_catalogue.beats.override import BeatEdit, author_of, changes_between, line_etag, request_hash
from k1_catalogue.beats.version_builder import MadeMap, NewVersion, OverrideSource, VersionBuilder
from k1_catalogue.database import SCHEMA
from k1_catalogue.graphs import store as graph_store
from k1_catalogue.maps.store import MapStore
from k1_catalogue.similarity.store import save_features
from k1_catalogue.tracks import store as track_store
from k1_catalogue.tracks.artefact_store import artefacts_of_version, insert_artefacts
from k1_catalogue.tracks.audit_store import write_audit_entry
from k1_catalogue.tracks.status import version_status
from k1_catalogue.tracks.store import FinishedVersion
from k1_catalogue.tracks.version_checks import require_map, require_song, require_version
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
from k1_platform.errors import TransientError
from k1_platform.nats.actors import current_actor
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import Connection, Pool
from k1_platform.processes.threads import in_thread

ApplyOnWorker = Callable[[ApplyBeats], Awaitable[BeatsApplied]]
"""Makes a map with other beats on a worker; raises the error of the worker."""
RunOnWorker = Callable[[SimulateGraph], Awaitable[GraphSimulated]]
_MAX_TRIES: Final = 5
"""Tries to add the version: another edit or analysis of the track may take its number each time."""


@dataclass(frozen=True, slots=True)
class BeatEditor:
    """Makes the versions of overrides."""

    pool: Pool
    maps: MapStore
    builder: VersionBuilder
    apply_beats: ApplyOnWorker
    run_graph: RunOnWorker
    clock: Callable[[], datetime]

    async def save(self, query: SaveBeatOverride) -> BeatOverrideSaved:
        """Make a version with the beats of a person.

        Raises:
            QueryError: `beats_invalid`, `override_changed`, `graph_changed`, or an error of the worker.
            TransientError: the track changes too fast, or a store did not respond.
        """
        source = await self._read_source(query)
        if isinstance(source, BeatOverrideSaved):
            return source
        current = await self.maps.get_beats(query.track_id, query.version)
        automatic = await self.maps.get_beats(query.track_id, source.base_version)
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
        return await self._add_version(query, source, edit, made)

    async def remove(self, query: RemoveBeatOverride) -> BeatOverrideSaved:
        """Make a version with the automatic beats again, and the graph of the version.

        Raises:
            QueryError: `override_missing`, `override_changed`, `graph_changed`, or an error of the worker.
            TransientError: the track changes too fast, or a store did not respond.
        """
        source = await self._read_source(query)
        if isinstance(source, BeatOverrideSaved):
            return source
        if source.latest is None or source.latest.removed:
            raise errors.override_missing(query.track_id, query.version)
        current = await self.maps.get_beats(query.track_id, source.base_version)
        if current is None:
            raise errors.genesis_missing(query.track_id, source.base_version)
        made = await self.builder.automatic_map(source, _document(source), self.run_graph)
        beats = current.grid.beats_ms
        edit = replace(self._edit(query, source), removed=True, changes=changes_between(beats, beats))
        return await self._add_version(query, source, edit, made)

    async def _read_source(
        self, query: SaveBeatOverride | RemoveBeatOverride
    ) -> OverrideSource | BeatOverrideSaved:
        """Return what the new version is made from, or the response to an earlier request with the same key."""
        track_id, version = query.track_id, query.version
        async with (
            self.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            require_map(await require_version(connection, track_id, version), track_id)
            if earlier := await _earlier_response(connection, query):
                return earlier
            edit = await store.find_edit(connection, track_id, version)
            base_version = edit.base_version if edit else version
            latest = await store.latest_edit(connection, track_id, base_version)
            _require_match(query, base_version, latest)
            return OverrideSource(
                track_id=track_id,
                version=version,
                base_version=base_version,
                base=await require_version(connection, track_id, base_version),
                latest=latest,
                graph=await graph_store.current_graph(connection, track_id, version),
                artefacts=await artefacts_of_version(connection, track_id, version, inline=True),
                base_artefacts=await artefacts_of_version(connection, track_id, base_version, inline=False),
                next_version=await track_store.next_version(connection, track_id),
            )

    def _edit(self, query: SaveBeatOverride | RemoveBeatOverride, source: OverrideSource) -> BeatEdit:
        return BeatEdit(
            version=source.next_version,
            base_version=source.base_version,
            previous_version=query.version,
            removed=False,
            author=author_of(current_actor()),
            created_at=self.clock(),
            changes=changes_between((), ()),
            idempotency_key=query.idempotency_key,
            request_sha256=request_hash(query),
        )

    async def _add_version(
        self,
        query: SaveBeatOverride | RemoveBeatOverride,
        source: OverrideSource,
        edit: BeatEdit,
        made: MadeMap,
    ) -> BeatOverrideSaved:
        for _ in range(_MAX_TRIES):
            new = await self.builder.build(source, edit, made)
            async with self.pool.acquire() as connection, connection.transaction():
                await require_song(connection, query.track_id)
                if earlier := await _earlier_response(connection, query):
                    return earlier
                await _require_unchanged(connection, query, source)
                number = await track_store.next_version(connection, query.track_id)
                if number == edit.version:
                    # Under the lock: no other process writes the map of this version.
                    await self.maps.put(query.track_id, number, new.content)
                    return await _insert(connection, source, edit, made, new)
            edit = replace(edit, version=number)
        raise TransientError(f"{query.track_id} got other versions {_MAX_TRIES} times meanwhile")


def _document(source: OverrideSource) -> GraphDocument | None:
    return GraphDocument.model_validate_json(source.graph.document) if source.graph else None


async def _earlier_response(
    connection: Connection, query: SaveBeatOverride | RemoveBeatOverride
) -> BeatOverrideSaved | None:
    """Return the response to an earlier request with the same idempotency key.

    Raises:
        QueryError: `idempotency_key_reused`, the earlier request was another one.
    """
    key = query.idempotency_key
    edit = None if key is None else await store.find_edit_by_key(connection, query.track_id, key)
    if key is None or edit is None:
        return None
    if edit.request_sha256 != request_hash(query):
        raise errors.idempotency_key_reused(key)
    return await _response(connection, query.track_id, edit)


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


async def _require_unchanged(
    connection: Connection, query: SaveBeatOverride | RemoveBeatOverride, source: OverrideSource
) -> None:
    """Raise an error if the line or the graph has changed since it was read."""
    latest = await store.latest_edit(connection, query.track_id, source.base_version)
    _require_match(query, source.base_version, latest)
    if isinstance(query, RemoveBeatOverride) and (latest is None or latest.removed):
        raise errors.override_missing(query.track_id, query.version)
    graph = await graph_store.current_graph(connection, query.track_id, query.version)
    if (graph and graph.etag) != (source.graph and source.graph.etag):
        raise errors.graph_changed_during_override()


async def _insert(
    connection: Connection, source: OverrideSource, edit: BeatEdit, made: MadeMap, new: NewVersion
) -> BeatOverrideSaved:
    track_id, at = source.track_id, edit.created_at
    await track_store.insert_finished_version(
        connection,
        track_id,
        FinishedVersion(
            version=edit.version,
            status=version_status("completed", made.summary),
            engine=source.base["engine"],
            summary=made.summary,
            warnings=new.warnings,
            map_sha256=new.map_sha256,
            created_at=at,
        ),
    )
    await insert_artefacts(connection, track_id, edit.version, new.artefacts, at)
    await save_features(connection, track_id, edit.version, new.vector)
    if source.graph is not None:
        await graph_store.insert_revision(
            connection, track_id, edit.version, replace(source.graph, revision=1, created_at=at)
        )
    await store.insert_edit(connection, track_id, edit)
    await track_store.refresh_track_state(connection, track_id, at)
    response = await _response(connection, track_id, edit)
    await _record(connection, edit, response)
    return response


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
