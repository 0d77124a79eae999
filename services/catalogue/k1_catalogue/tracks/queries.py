"""Answers the queries about tracks, versions, artefacts and Genesis maps."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from k1_catalogue import errors
from k1_catalogue.history.queries import track_at
from k1_catalogue.maps.comparison import MapFigures, compare_beats, compare_metrics
from k1_catalogue.maps.map_json import map_etag, render_map
from k1_catalogue.maps.slicing import Slice
from k1_catalogue.maps.store import MapStore
from k1_catalogue.tracks import artefact_store, store
from k1_catalogue.tracks.artefact_store import StoredArtefact
from k1_catalogue.tracks.artefacts import URL_LIFETIME, with_missing
from k1_catalogue.tracks.list_store import list_tracks
from k1_catalogue.tracks.status import is_usable
from k1_catalogue.tracks.version_checks import require_map, require_version
from k1_contracts.messages.catalogue.beats import CurrentBeatOverride
from k1_contracts.messages.catalogue.track_history import CompareVersions, VersionComparison
from k1_contracts.messages.catalogue.tracks import (
    Artefact,
    ArtefactList,
    GetGenesis,
    GetTrack,
    GetTracks,
    GetVersion,
    ListTracks,
    TrackDetail,
    TrackDetails,
    TrackPage,
    VersionDetail,
    VersionEdit,
    VersionSummary,
)
from k1_contracts.messages.deploy.deployments import TrackDeployment
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.nats.queries.rpc_documents import Document, compress_document
from k1_platform.postgres.pool import Connection, Pool
from k1_platform.processes.threads import in_thread
from k1_platform.storage.objects import ObjectStore

_TRACKS_AT_ONCE: Final = 4
NewestDeployments = Callable[[Connection, str], Awaitable[Sequence[TrackDeployment]]]
"""Returns the newest deployments of a track, newest first."""
CurrentOverride = Callable[[Connection, str], Awaitable[CurrentBeatOverride | None]]
"""Returns the override of beats of the version in use."""
VersionEdits = Callable[[Connection, str], Awaitable[Mapping[int, VersionEdit]]]
"""Returns what people changed to make versions of a track, by version."""


@dataclass(frozen=True, slots=True)
class TrackQueries:
    """Answers from the stores; each thing that is absent is an error with its own code."""

    pool: Pool
    maps: MapStore
    objects: ObjectStore
    newest_deployments: NewestDeployments
    current_override: CurrentOverride
    version_edits: VersionEdits

    async def list_tracks(self, query: ListTracks) -> TrackPage:
        """Return a page of tracks."""
        return await list_tracks(self.pool, query)

    async def get_track(self, query: GetTrack) -> TrackDetail:
        """Return a track, its versions with their artefacts, its newest deployments, and its other recordings.

        With `at`, return the track as it was then. The artefacts have no URLs; `get_version` and `list_artefacts` return those.
        """
        track_id = query.track_id
        async with self.pool.acquire() as connection:
            if query.at is not None:
                return await track_at(connection, track_id, query.at)
            head = await store.find_detail(connection, track_id)
            if head is None:
                raise errors.track_not_found(track_id)
            versions = await store.find_versions(connection, track_id)
            artefacts = await artefact_store.artefacts_of_track(connection, track_id)
            deployments = await self.newest_deployments(connection, track_id) if head.has_deployments else ()
            override = await self.current_override(connection, track_id) if head.has_beat_edits else None
            edits = await self.version_edits(connection, track_id) if head.has_beat_edits else {}
        return TrackDetail(
            revision=head.revision,
            track=head.track,
            versions=[
                VersionSummary(
                    **fields,
                    edit=edits.get(fields["version"]),
                    artefacts=[each.artefact for each in artefacts if each.version == fields["version"]],
                )
                for fields in versions
            ],
            beat_override=override,
            deployments=list(deployments),
            same_recording_as=head.same_recordings,
        )

    async def get_tracks(self, query: GetTracks) -> TrackDetails:
        """Return several tracks as `get_track` does, a few at a time; those that do not exist are left out."""
        free = asyncio.Semaphore(_TRACKS_AT_ONCE)

        async def get(track_id: str) -> TrackDetail | None:
            async with free:
                try:
                    return await self.get_track(GetTrack(track_id=track_id))
                except QueryError:
                    return None

        found = await asyncio.gather(*map(get, dict.fromkeys(query.track_ids)))
        return TrackDetails(items=[detail for detail in found if detail is not None])

    async def get_version(self, query: GetVersion) -> VersionDetail:
        """Return a version with the URLs of its artefacts and the metadata and figures of its map."""
        async with self.pool.acquire() as connection:
            fields = await require_version(connection, query.track_id, query.version)
            artefacts = await artefact_store.artefacts_of_version(
                connection, query.track_id, query.version, inline=False, deleted=True
            )
            edits = await self.version_edits(connection, query.track_id)
        head = await self.maps.get_head(query.track_id, query.version) if fields["map_sha256"] else None
        return VersionDetail(
            **fields,
            track_id=query.track_id,
            edit=edits.get(query.version),
            artefacts=self._with_urls(artefacts),
            metadata=head.metadata if head else None,
            metrics=head.global_metrics if head else None,
        )

    async def compare_versions(self, query: CompareVersions) -> VersionComparison:
        """Return what changed from one version to another: figures, beats and downbeats."""
        with_version = query.with_version or await self._version_before(query)
        before = await self._figures(query.track_id, with_version)
        after = await self._figures(query.track_id, query.version)
        return VersionComparison(
            track_id=query.track_id,
            version=query.version,
            with_version=with_version,
            metrics=compare_metrics(before.metrics, after.metrics),
            beats=compare_beats(before.beats_ms, after.beats_ms),
            downbeats=compare_beats(before.downbeats_ms, after.downbeats_ms),
        )

    async def _version_before(self, query: CompareVersions) -> int:
        async with self.pool.acquire() as connection:
            await require_version(connection, query.track_id, query.version)
            statuses = await store.version_statuses(connection, query.track_id)
        earlier = [
            number for number, status in statuses.items() if is_usable(status) and number < query.version
        ]
        if not earlier:
            raise errors.no_earlier_version(query.track_id, query.version)
        return max(earlier)

    async def _figures(self, track_id: str, version: int) -> MapFigures:
        async with self.pool.acquire() as connection:
            require_map(await require_version(connection, track_id, version), track_id)
        found = await self.maps.get_figures(track_id, version)
        if found is None:
            raise errors.genesis_missing(track_id, version)
        return found

    async def list_artefacts(self, query: GetVersion) -> ArtefactList:
        """Return all artefacts of a version: signed URLs, the content of small ones, and which are missing."""
        async with self.pool.acquire() as connection:
            await require_version(connection, query.track_id, query.version)
            artefacts = await artefact_store.artefacts_of_version(
                connection, query.track_id, query.version, inline=True, deleted=True
            )
        return ArtefactList(artefacts=with_missing(self._with_urls(artefacts)))

    async def get_genesis(self, query: GetGenesis) -> Document:
        """Return the Genesis map of a version, or the requested slice of it."""
        requested = _requested_slice(query)
        async with self.pool.acquire() as connection:
            fields = await require_version(connection, query.track_id, query.version)
        require_map(fields, query.track_id)
        etag = map_etag(fields["map_sha256"], requested)
        if query.etag == etag:
            return Document(etag, None)
        stored = await self.maps.get(query.track_id, query.version)
        if stored is None:
            raise errors.genesis_missing(query.track_id, query.version)
        return await compress_document(etag, await in_thread(render_map, stored, requested))

    def _with_urls(self, artefacts: Iterable[StoredArtefact]) -> list[Artefact]:
        return [
            each.artefact
            if each.artefact.status == "deleted"
            else each.artefact.model_copy(
                update={"url": self.objects.signed_url(each.key, expires=URL_LIFETIME)}
            )
            for each in artefacts
        ]


def _requested_slice(query: GetGenesis) -> Slice:
    if query.from_ms is not None and query.to_ms is not None and query.from_ms >= query.to_ms:
        raise errors.empty_window(query.from_ms, query.to_ms)
    return Slice(
        layers=tuple(sorted(set(query.layers))) if query.layers is not None else None,
        from_ms=query.from_ms,
        to_ms=query.to_ms,
        max_points=query.max_points,
    )
