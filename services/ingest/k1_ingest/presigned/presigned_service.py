"""Tracks whose song goes to the object store directly: creates them, takes over their song, removes abandoned ones.

The song is copied when it is taken over. So nothing changes when the URL, which still works, is used once more.
"""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_contracts.ids import TRACK_ID_PATTERN, new_id
from k1_contracts.messages.catalogue.track_uploads import (
    TRACK_CREATED,
    TRACK_UPLOAD_ABANDONED,
    CompleteTrack,
    CreateTrack,
    TrackCreated,
    TrackUpload,
    TrackUploadAbandoned,
)
from k1_contracts.messages.catalogue.tracks import UploadAccepted
from k1_ingest.errors import UploadRejectedError, too_large
from k1_ingest.form.fields import read_fields
from k1_ingest.open_uploads.store import Found, OpenUploads
from k1_ingest.presigned.record import COMPLETION_TIME, KEPT, LIFETIME, ExpectedSong
from k1_ingest.uploads.slots import UploadSlots
from k1_ingest.uploads.song_source import StoredSong
from k1_ingest.uploads.upload_service import UploadService
from k1_platform.errors import TransientError
from k1_platform.nats.actors import acting_as, current_actor
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.nats.streams.publisher import publish
from k1_platform.storage.objects import ObjectNotFoundError, ObjectStore

_PIECE_BYTES: Final = 4 * 1024 * 1024
_TRACK_ID: Final = re.compile(TRACK_ID_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedService:
    """Answers the queries TRACK_CREATE and TRACK_COMPLETE."""

    bus: Bus
    objects: ObjectStore
    store: OpenUploads
    uploads: UploadService
    slots: UploadSlots
    clock: Callable[[], datetime]
    max_bytes: int
    max_minutes: float

    async def create_track(self, query: CreateTrack) -> TrackUpload:
        """Create a track and return the URL for its song. The record is first, so the sweep knows every such track."""
        now = self.clock()
        song = ExpectedSong(
            track_id=new_id("trk"), details=query, expires_at=now + LIFETIME, actor=current_actor()
        )
        self._check(song)
        await self.store.create(song.track_id, song)
        event = TrackCreated(
            track_id=song.track_id,
            title=query.title,
            artist=query.artist,
            tags=query.tags,
            preset=query.preset,
            created_at=now,
            expires_at=song.expires_at,
        )
        await publish(self.bus.broker, TRACK_CREATED, event, source="ingest")
        url = self.objects.signed_url(song.key, method="PUT", expires=LIFETIME)
        return TrackUpload(track_id=song.track_id, upload_url=url, expires_at=song.expires_at)

    async def complete_track(self, query: CompleteTrack) -> UploadAccepted:
        """Take over the song and start its analysis; the same bytes give the track that they are already.

        A song that is rejected leaves the track as it was: another one can be sent while the URL works.

        Raises:
            QueryError: `upload_not_found`, `song_missing`, or the rejection of the song.
        """
        found = await self._claim(query.track_id)
        if found.record.accepted is not None:
            return found.record.accepted
        try:
            async with self.slots.take():
                accepted = await self._accept(found.record)
        except UploadRejectedError as error:
            self.slots.outcomes.labels(error.code).inc()
            raise QueryError(error.code, str(error), error.status) from error
        self.slots.outcomes.labels(accepted.status).inc()
        await self._end(found, accepted)
        return accepted

    async def expire(self, upload_id: str) -> None:
        """Remove a track whose time has passed, and finish an interrupted removal; for the sweep."""
        if not _TRACK_ID.fullmatch(upload_id):
            return
        found = await self.store.find(upload_id, ExpectedSong)
        if found is None:
            return
        song = found.record
        if song.state == "open" and song.expires_at <= self.clock():
            found = await self._write(found, song.model_copy(update={"state": "abandoned"}))
            if found is None:
                return
        if found.record.state == "abandoned":
            await self._abandon(found.record)
        elif song.state == "complete" and song.expires_at <= self.clock():
            await self.store.remove(upload_id)

    def _check(self, song: ExpectedSong) -> None:
        hint = song.details.duration_hint
        if hint is not None and hint > self.max_minutes * 60:
            message = f"The song is longer than the limit of {self.max_minutes:g} minutes; shorten it."
            raise QueryError("too_long", message, 422)
        try:
            read_fields(song.fields())
        except UploadRejectedError as error:
            raise QueryError(error.code, str(error), error.status) from error

    async def _claim(self, track_id: str) -> Found[ExpectedSong]:
        """Return the track, and keep the sweep from removing it meanwhile."""
        found = await self.store.find(track_id, ExpectedSong)
        if found is None or found.record.state == "abandoned" or not self._is_own(found.record):
            message = "No song is expected for this track; its hour has passed, or it has its song."
            raise QueryError("upload_not_found", message, 404)
        if found.record.accepted is not None:
            return found
        until = max(found.record.expires_at, self.clock() + COMPLETION_TIME)
        claimed = await self._write(found, found.record.model_copy(update={"expires_at": until}))
        if claimed is None:
            raise QueryError("busy", "Another request completes this track; ask again in a moment.", 503)
        return claimed

    def _is_own(self, song: ExpectedSong) -> bool:
        actor = current_actor()
        return (
            song.actor is None or actor is None or (song.actor.kind, song.actor.id) == (actor.kind, actor.id)
        )

    async def _accept(self, song: ExpectedSong) -> UploadAccepted:
        try:
            info = await self.objects.stat(song.key)
        except ObjectNotFoundError as error:
            message = "The song has not arrived; PUT it to upload_url first."
            raise UploadRejectedError("song_missing", 409, message) from error
        if info.size_bytes > self.max_bytes:
            await self.objects.delete(song.key)
            raise too_large(self.max_bytes)
        source = StoredSong(song.details.title, song.fields(), lambda: self._bytes(song.key, info.size_bytes))
        with acting_as(song.actor):
            return await self.uploads.accept(source, song.track_id, song.track_id)

    async def _bytes(self, key: str, size: int) -> AsyncIterator[bytes]:
        for at in range(0, size, _PIECE_BYTES):
            try:
                piece = await self.objects.get_range(key, at, min(_PIECE_BYTES, size - at))
            except ObjectNotFoundError as error:
                raise TransientError("the song was removed while it was read") from error
            yield piece

    async def _end(self, found: Found[ExpectedSong], accepted: UploadAccepted) -> None:
        """Record the result. The placeholder of a song that is another track already is abandoned."""
        song = found.record
        changes: dict[str, object] = {"accepted": accepted, "state": "complete"}
        done = song.model_copy(update=changes | {"expires_at": self.clock() + KEPT})
        if accepted.track_id != song.track_id:
            await self._announce_abandoned(done.model_copy(update={"reason": "duplicate"}))
        await self._write(found, done)  # last, so that a completion that was interrupted is done again
        await self.objects.delete(song.key)

    async def _abandon(self, song: ExpectedSong) -> None:
        await self._announce_abandoned(song)
        await self.objects.delete(song.key)
        await self.store.remove(song.track_id)

    async def _announce_abandoned(self, song: ExpectedSong) -> None:
        event = TrackUploadAbandoned(track_id=song.track_id, reason=song.reason, at=self.clock())
        await publish(self.bus.broker, TRACK_UPLOAD_ABANDONED, event, source="ingest")

    async def _write(self, found: Found[ExpectedSong], song: ExpectedSong) -> Found[ExpectedSong] | None:
        return await self.store.replace(song.track_id, found, song)
