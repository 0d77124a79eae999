"""Adds the versions that people make: reads what a version is made from, and adds it in one transaction.

Nothing is visible until the transaction adds the version with everything that belongs to it. A process that dies before
leaves files without a reference and perhaps a map of a version that does not exist, which the next version overwrites.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol, TypeVar

from k1_catalogue.beats import store
from k1_catalogue.beats.override import BeatEdit, EditQuery, request_hash
from k1_catalogue.beats.version_builder import MadeMap, NewVersion, VersionBuilder, VersionSource
from k1_catalogue.graphs import store as graph_store
from k1_catalogue.maps.store import MapStore
from k1_catalogue.similarity.store import save_features
from k1_catalogue.tracks import store as track_store
from k1_catalogue.tracks.artefact_store import artefacts_of_version, insert_artefacts
from k1_catalogue.tracks.status import version_status
from k1_catalogue.tracks.store import FinishedVersion
from k1_catalogue.tracks.version_checks import require_map, require_song, require_version
from k1_platform.errors import TransientError
from k1_platform.postgres.pool import Connection, Pool

_MAX_TRIES: Final = 5
"""Tries to add the version: another edit or analysis of the track may take its number each time."""
R_co = TypeVar("R_co", covariant=True)


class VersionChange(Protocol[R_co]):
    """What a person asked for; the response is `R_co`."""

    @property
    def query(self) -> EditQuery:
        """Return the request, which names the version that is edited."""
        ...

    async def respond(self, connection: Connection, edit: BeatEdit) -> R_co:
        """Return the response to the request that made this edit."""
        ...

    async def require_unchanged(self, connection: Connection, source: VersionSource) -> None:
        """Raise QueryError if the conditions do not hold, or what the version is made from has changed."""
        ...

    async def record(self, connection: Connection, edit: BeatEdit) -> R_co:
        """Write the event and, last, the entry of the history for the version that was added; return the response."""
        ...


@dataclass(frozen=True, slots=True)
class VersionWriter:
    """Adds versions to tracks."""

    pool: Pool
    maps: MapStore
    builder: VersionBuilder

    async def read_source(self, change: VersionChange[R_co]) -> VersionSource | R_co:
        """Return what the new version is made from, or the response to an earlier request with the same key."""
        track_id, version = change.query.track_id, change.query.version
        async with (
            self.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            fields = await require_version(connection, track_id, version)
            require_map(fields, track_id)
            if earlier := await _find_earlier(connection, change):
                return earlier
            edit = await store.find_edit(connection, track_id, version)
            base_version = edit.base_version if edit else version
            source = VersionSource(
                track_id=track_id,
                version=version,
                fields=fields,
                edit=edit,
                base_version=base_version,
                base=await require_version(connection, track_id, base_version),
                latest=await store.latest_edit(connection, track_id, base_version),
                graph=await graph_store.current_graph(connection, track_id, version),
                artefacts=await artefacts_of_version(connection, track_id, version, inline=True),
                base_artefacts=await artefacts_of_version(connection, track_id, base_version, inline=False),
                next_version=await track_store.next_version(connection, track_id),
            )
            await change.require_unchanged(connection, source)
            return source

    async def add(
        self, change: VersionChange[R_co], source: VersionSource, edit: BeatEdit, made: MadeMap, at: datetime
    ) -> R_co:
        """Add the version and return the response, or that to an earlier request with the same key.

        Raises:
            QueryError: as `require_unchanged` of the change.
            GraphError: no bundle can be made of a new graph.
            TransientError: the track changes too fast, or a store did not respond.
        """
        for _ in range(_MAX_TRIES):
            new = await self.builder.build(source, edit, made)
            async with self.pool.acquire() as connection, connection.transaction():
                await require_song(connection, source.track_id)
                if earlier := await _find_earlier(connection, change):
                    return earlier
                await change.require_unchanged(connection, source)
                number = await track_store.next_version(connection, source.track_id)
                if number == edit.version:
                    # Under the lock: no other process writes the map of this version.
                    await self.maps.put(source.track_id, number, new.content)
                    await _insert(connection, source, edit, made=made, new=new, at=at)
                    return await change.record(connection, edit)
            edit = replace(edit, version=number)
        raise TransientError(f"{source.track_id} got other versions {_MAX_TRIES} times meanwhile")


async def _find_earlier(connection: Connection, change: VersionChange[R_co]) -> R_co | None:
    """Return the response to an earlier request with the same idempotency key.

    Raises:
        QueryError: `idempotency_key_reused`, the earlier request was another one.
    """
    query = change.query
    edit = await store.find_repeated(connection, query.track_id, query.idempotency_key, request_hash(query))
    return await change.respond(connection, edit) if edit else None


async def _insert(
    connection: Connection,
    source: VersionSource,
    edit: BeatEdit,
    *,
    made: MadeMap,
    new: NewVersion,
    at: datetime,
) -> None:
    track_id = source.track_id
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
    graph = made.graph.revision if made.graph else source.graph
    if graph is not None:
        first = replace(graph, revision=1, created_at=at)
        await graph_store.insert_revision(connection, track_id, edit.version, first)
    await store.insert_edit(connection, track_id, edit)
    await track_store.refresh_track_state(connection, track_id, at)
