"""Answers the queries that read beats: those of a version with their override, and what an operation would give."""

from dataclasses import dataclass

from k1_catalogue import errors
from k1_catalogue.beats.operations import preview
from k1_catalogue.beats.override import line_etag
from k1_catalogue.beats.store import find_edit, latest_edit
from k1_catalogue.maps.models import MapBeats
from k1_catalogue.maps.store import MapStore
from k1_catalogue.tracks.version_checks import require_map, require_version
from k1_contracts.messages.catalogue.beats import (
    BeatOverrideView,
    BeatsPreviewed,
    GetBeatOverride,
    PreviewBeats,
)
from k1_platform.postgres.pool import Pool
from k1_platform.processes.threads import in_thread


@dataclass(frozen=True, slots=True)
class BeatQueries:
    """Answers from the tables and the maps."""

    pool: Pool
    maps: MapStore

    async def get_override(self, query: GetBeatOverride) -> BeatOverrideView:
        """Return the beats of a version, and the override that they come from."""
        track_id, version = query.track_id, query.version
        async with self.pool.acquire() as connection:
            require_map(await require_version(connection, track_id, version), track_id)
            edit = await find_edit(connection, track_id, version)
            base = edit.base_version if edit else version
            latest = await latest_edit(connection, track_id, base)
        beats = await self._beats(track_id, version)
        latest_version = latest.version if latest else base
        return BeatOverrideView(
            track_id=track_id,
            version=version,
            base_version=base,
            latest_version=latest_version,
            etag=line_etag(track_id, base, latest_version),
            duration_ms=beats.duration_ms,
            bpm=beats.bpm,
            time_signature=beats.time_signature,
            beats_ms=list(beats.grid.beats_ms),
            downbeats=list(beats.grid.downbeats),
            override=edit.info if edit else None,
        )

    async def preview(self, query: PreviewBeats) -> BeatsPreviewed:
        """Return what an operation makes of the version's beats, or of the given ones."""
        async with self.pool.acquire() as connection:
            fields = await require_version(connection, query.track_id, query.version)
        require_map(fields, query.track_id)
        beats = await self._beats(query.track_id, query.version)
        return await in_thread(preview, query, beats.grid, beats.duration_ms)

    async def _beats(self, track_id: str, version: int) -> MapBeats:
        found = await self.maps.get_beats(track_id, version)
        if found is None:
            raise errors.genesis_missing(track_id, version)
        return found
