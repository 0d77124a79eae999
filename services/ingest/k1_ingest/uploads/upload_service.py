"""Accepts an upload: stores its bytes, checks the song, claims the bytes for one track, publishes the event."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from k1_audio.kinds import bytes_wanted
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.tracks import TrackUploaded, UploadAccepted
from k1_contracts.tracks import AudioRef
from k1_contracts.upload_form import UploadForm
from k1_ingest.audio_checks.audio_info import AudioInfo
from k1_ingest.audio_checks.container_detection import CONTENT_TYPES, Container, detect_container
from k1_ingest.audio_checks.prober import Prober
from k1_ingest.errors import UploadRejectedError, maintenance
from k1_ingest.form.fields import read_fields
from k1_ingest.form.file_names import sanitize_file_name, stem
from k1_ingest.uploads.claim_store import Claim, ClaimStore, FoundClaim, PendingObject
from k1_ingest.uploads.song_source import SongSource
from k1_ingest.uploads.spool import Spool
from k1_ingest.uploads.track_publisher import TrackPublisher
from k1_platform.nats.actors import current_actor
from k1_platform.nats.maintenance_mode import MaintenanceMode
from k1_platform.processes.threads import in_thread
from k1_platform.storage.objects import ObjectStore

MAX_UPLOAD_S: Final = 15 * 60.0
"""The sweep of orphaned objects relies on this limit."""


class _KnownBytesError(Exception):
    """Raised into the stream of the object, so that the store does not create a second object."""

    def __init__(self, claim: Claim) -> None:
        super().__init__()
        self.claim = claim


@dataclass(slots=True)
class _IncomingSong:
    """An upload in progress, filled in while its bytes arrive."""

    source: SongSource
    filename: str
    container: Container
    hashed_key: str | None
    track_id: str
    form: UploadForm = field(default_factory=UploadForm)
    info: AudioInfo | None = None

    @property
    def object_key(self) -> str:
        return f"audio/{self.track_id}/source.{self.container}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadService:
    """Accepts uploads."""

    objects: ObjectStore
    claims: ClaimStore
    publisher: TrackPublisher
    prober: Prober
    clock: Callable[[], datetime]
    maintenance_mode: MaintenanceMode
    max_bytes: int
    spool_dir: Path | None

    async def accept(
        self, source: SongSource, idempotency_key: str | None, track_id: str | None = None
    ) -> UploadAccepted:
        """Receive, check and store one song, and publish its event.

        A new song gets `track_id`, by default a new one; bytes that are known keep the track that they have.

        The stream of the object stays open until the song is checked, and is aborted when a check fails. So an object
        exists in the store only for a good song.

        Raises:
            UploadRejectedError: the upload is rejected, with the reason.
            TransientError: a dependency failed; the client can safely send the upload again.
        """
        hashed_key = sha256(idempotency_key.encode()).hexdigest() if idempotency_key else None
        try:
            async with asyncio.timeout(MAX_UPLOAD_S):
                return await self._receive(source, hashed_key, track_id or new_id("trk"))
        except TimeoutError as error:
            message = f"The upload took longer than {MAX_UPLOAD_S / 60:g} minutes; use a faster connection."
            raise UploadRejectedError("upload_timeout", 408, message) from error

    async def _receive(self, source: SongSource, hashed_key: str | None, track_id: str) -> UploadAccepted:
        await self._require_no_backup()
        filename = sanitize_file_name(await source.filename())
        read_fields(source.fields)  # reject faults of the fields before the file before the file is read
        chunks = source.chunks()
        with Spool(self.spool_dir, self.max_bytes) as spool:
            container = await _read_container(spool, chunks)
            song = _IncomingSong(source, filename, container, hashed_key, track_id)
            try:
                await self.objects.put_stream(
                    song.object_key,
                    self._checked_bytes(song, spool, chunks),
                    CONTENT_TYPES[song.container],
                )
            except _KnownBytesError as known:
                return _response(known.claim, hashed_key)
            return await self._claim(song, spool)

    async def _checked_bytes(
        self, song: _IncomingSong, spool: Spool, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of the song for the object store; fail at the end, before the object exists, if it is bad."""
        for piece in spool.pieces():
            yield piece
        async for chunk in chunks:
            spool.write(chunk)
            yield chunk
        await song.source.read_rest()
        song.form = read_fields(song.source.fields)
        found = await self._find_usable_claim(spool.sha256)
        if found is None:
            song.info = await self.prober.probe(spool.path, song.container)
        await self._require_no_backup()
        await self._reserve_key(song.hashed_key, spool.sha256)
        if found is not None:
            raise _KnownBytesError(found.claim)
        pending = PendingObject(sha256=spool.sha256, object_key=song.object_key, since=self.clock())
        await self.claims.add_pending(song.track_id, pending)

    async def _require_no_backup(self) -> None:
        """Reject the upload while a backup keeps changes out: also one that arrived in part before it began."""
        if await self.maintenance_mode.refuses_changes():
            raise maintenance()

    async def _find_usable_claim(self, digest: str) -> FoundClaim | None:
        """Return the claim on these bytes after publishing its event; remove a claim whose object does not exist."""
        found = await self.claims.find(digest)
        if found is None or found.claim.state == "announced":
            return found
        if not await self.objects.exists(found.claim.event.audio.key):
            await self.claims.remove(digest, found)
            return None
        await self.publisher.publish(found.claim)
        return found

    async def _reserve_key(self, hashed_key: str | None, digest: str) -> None:
        if hashed_key and not await self.claims.reserve_key(hashed_key, digest):
            message = "This Idempotency-Key was used for another file; use a new key for a new upload."
            raise UploadRejectedError("idempotency_key_reused", 422, message)

    async def _claim(self, song: _IncomingSong, spool: Spool) -> UploadAccepted:
        own = Claim(
            state="claimed",
            event=self._event(song, spool),
            idempotency=song.hashed_key,
            actor=current_actor(),
        )
        holder = await self.claims.claim(spool.sha256, own)
        if holder.event.track_id != song.track_id:
            await self.objects.delete(song.object_key)
            await self.claims.remove_pending(song.track_id)
        if holder.state == "claimed":
            await self.publisher.publish(holder)
        return _response(holder, song.hashed_key, is_new=holder is own)

    def _event(self, song: _IncomingSong, spool: Spool) -> TrackUploaded:
        info, form = song.info, song.form
        assert info is not None, "the stream of the object ends without an error only after the probe"
        return TrackUploaded(
            track_id=song.track_id,
            job_id=new_id("job"),
            audio=AudioRef(
                key=song.object_key,
                sha256=spool.sha256,
                size_bytes=spool.size,
                container=song.container,
                codec=info.codec,
                duration_ms=info.declared_ms,
                sample_rate_hz=info.sample_rate_hz,
                channels=info.channels,
            ),
            filename=song.filename,
            title=form.title or info.title or stem(song.filename),
            artist=form.artist or info.artist,
            tags=form.tags,
            preset=form.preset,
            priority=form.priority,
            uploaded_at=self.clock(),
        )


async def _read_container(spool: Spool, chunks: AsyncIterator[bytes]) -> Container:
    """Read as much of the file as its detection needs, which is more when tags come before the audio."""
    wanted = 1
    async for chunk in chunks:
        spool.write(chunk)
        if spool.size >= wanted:
            with spool.view() as data:
                wanted = bytes_wanted(data)
        if spool.size >= wanted:
            break
    if not spool.size:
        raise UploadRejectedError("empty_file", 422, "The file is empty; choose another one.")
    with spool.view() as data:
        return await in_thread(detect_container, data)


def _response(claim: Claim, hashed_key: str | None, *, is_new: bool = False) -> UploadAccepted:
    """Return the response. A repetition with the same key and the same bytes gets the first response again."""
    is_repetition = hashed_key is not None and claim.idempotency == hashed_key
    status = "queued" if is_new or is_repetition else "existing"
    return UploadAccepted(track_id=claim.event.track_id, job_id=claim.event.job_id, status=status)
