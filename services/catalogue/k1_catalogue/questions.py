"""Answers about tracks, versions, artefacts and maps."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pydantic_core

from k1_catalogue import details, errors
from k1_catalogue.artefacts import with_missing
from k1_catalogue.deployment_store import newest_deployments
from k1_catalogue.listing import list_tracks
from k1_catalogue.maps import GenesisMaps, StoredMap
from k1_catalogue.packing import Json, expand
from k1_catalogue.slicing import Slice, cut_layers
from k1_contracts.messages.tracks import (
    Artefact,
    ArtefactList,
    GetGenesis,
    GetTrack,
    GetVersion,
    ListTracks,
    TrackDetail,
    TrackPage,
    VersionDetail,
    VersionSummary,
)
from k1_platform.database import Connection, Pool
from k1_platform.objects import ObjectStore
from k1_platform.rpc_documents import Document, document
from k1_platform.threads import in_thread

URL_LIFETIME: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Questions:
    """Answers from the stores; every absence is an AnswerError with its own code."""

    pool: Pool
    maps: GenesisMaps
    objects: ObjectStore

    async def list_tracks(self, question: ListTracks) -> TrackPage:
        """A page of tracks."""
        return await list_tracks(self.pool, question)

    async def get_track(self, question: GetTrack) -> TrackDetail:
        """A track, its versions with their artefacts, its newest deployments, and who else has its recording.

        The artefacts come without URLs: those are asked for by version.
        """
        async with self.pool.acquire() as connection:
            track = await details.find_track(connection, question.track_id)
            if track is None:
                raise errors.track_not_found(question.track_id)
            versions = await details.find_versions(connection, question.track_id)
            kept = await details.artefacts_of_track(connection, question.track_id)
            deployed = await newest_deployments(connection, question.track_id)
            same = await details.same_recordings(connection, question.track_id)
        return TrackDetail(
            track=track,
            versions=[
                VersionSummary(
                    **fields, artefacts=[each.artefact for each in kept if each.version == fields["version"]]
                )
                for fields in versions
            ],
            deployments=[each.shown() for each in deployed],
            same_recording_as=same,
        )

    async def get_version(self, question: GetVersion) -> VersionDetail:
        """A version with its artefacts' URLs and the map's metadata and figures."""
        async with self.pool.acquire() as connection:
            fields = await find_version_or_refuse(connection, question.track_id, question.version)
            kept = await details.artefacts_of_version(
                connection, question.track_id, question.version, inline=False
            )
        head = await self.maps.head(question.track_id, question.version) if fields["map_sha256"] else None
        return VersionDetail(
            **fields,
            track_id=question.track_id,
            artefacts=self._signed(kept),
            metadata=head.metadata if head else None,
            metrics=head.global_metrics if head else None,
        )

    async def list_artefacts(self, question: GetVersion) -> ArtefactList:
        """All artefacts of a version: signed URLs, the content of small ones, and what is missing."""
        async with self.pool.acquire() as connection:
            await find_version_or_refuse(connection, question.track_id, question.version)
            kept = await details.artefacts_of_version(
                connection, question.track_id, question.version, inline=True
            )
        return ArtefactList(artefacts=with_missing(self._signed(kept)))

    async def get_genesis(self, question: GetGenesis) -> Document:
        """The map or the asked slice of it."""
        asked = _slice(question)
        async with self.pool.acquire() as connection:
            fields = await find_version_or_refuse(connection, question.track_id, question.version)
        require_map(fields, question.track_id)
        etag = entity_tag(fields["map_sha256"], asked)
        if question.etag == etag:
            return Document(etag, None)
        found = await self.maps.get(question.track_id, question.version)
        if found is None:
            raise errors.genesis_missing(question.track_id, question.version)
        return await document(etag, await in_thread(render, found, asked))

    def _signed(self, kept: Iterable[details.KeptArtefact]) -> list[Artefact]:
        return [
            each.artefact.model_copy(update={"url": self.objects.signed_url(each.key, expires=URL_LIFETIME)})
            for each in kept
        ]


def entity_tag(map_sha256: str, asked: Slice) -> str:
    """The tag of a map, or of a slice of it: the same content and slice, the same tag."""
    if asked.is_whole():
        return map_sha256
    return hashlib.sha256(f"{map_sha256} {asked!r}".encode()).hexdigest()


def render(found: StoredMap, asked: Slice) -> bytes:
    """The JSON of a map, or of a slice, which says so in `metadata.slice`."""
    whole: dict[str, Json] = found.whole()
    if not asked.is_whole():
        whole["metadata"] = found.metadata | {"slice": asked.describe()}
        whole["layers"] = cut_layers(found.layers, asked)
    return pydantic_core.to_json(expand(whole))


async def find_version_or_refuse(connection: Connection, track_id: str, version: int) -> dict[str, Any]:
    """The fields of a version; raises AnswerError when there is no such track or version."""
    fields = await details.find_version(connection, track_id, version)
    if fields is not None:
        return fields
    if await details.find_track(connection, track_id) is None:
        raise errors.track_not_found(track_id)
    raise errors.version_not_found(track_id, version)


def require_map(fields: Mapping[str, Any], track_id: str) -> None:
    """Raise AnswerError unless this version's analysis has completed."""
    if fields["map_sha256"] is None:
        pending = fields["status"] == "processing"
        raise (errors.genesis_pending if pending else errors.genesis_missing)(track_id, fields["version"])


def _slice(question: GetGenesis) -> Slice:
    if question.from_ms is not None and question.to_ms is not None and question.from_ms >= question.to_ms:
        raise errors.empty_window(question.from_ms, question.to_ms)
    return Slice(
        layers=tuple(sorted(set(question.layers))) if question.layers is not None else None,
        from_ms=question.from_ms,
        to_ms=question.to_ms,
        max_points=question.max_points,
    )
