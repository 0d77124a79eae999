"""From a form that streams in to a track that is announced."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from k1_audio.kinds import bytes_wanted
from k1_contracts.ids import new_id
from k1_contracts.messages.tracks import TrackUploaded, UploadAccepted
from k1_contracts.tracks import AudioRef
from k1_ingest.announcing import Announcer
from k1_ingest.claims import Claim, Claims, Found, Pending
from k1_ingest.details import Details, read_details
from k1_ingest.errors import UploadRefusedError
from k1_ingest.facts import AudioFacts
from k1_ingest.form import UploadForm
from k1_ingest.names import plain_name, stem
from k1_ingest.probing import Prober
from k1_ingest.sniffing import CONTENT_TYPES, Container, container_of
from k1_ingest.spool import Spool
from k1_platform.processes.threads import in_thread
from k1_platform.storage.objects import ObjectStore

LONGEST_S: Final = 15 * 60.0
"""No upload takes longer; the sweep of orphaned objects relies on it."""


class _KnownBytesError(Exception):
    """Raised into the object's stream, so that no second object appears."""

    def __init__(self, claim: Claim) -> None:
        super().__init__()
        self.claim = claim


@dataclass(slots=True)
class _Song:
    """What is learnt of an upload while its bytes go by."""

    form: UploadForm
    filename: str
    container: Container
    hashed_key: str | None
    track_id: str = field(default_factory=lambda: new_id("trk"))
    details: Details = field(default_factory=Details)
    facts: AudioFacts | None = None

    @property
    def object_key(self) -> str:
        return f"audio/{self.track_id}/source.{self.container}"


class Uploads:
    """Takes uploads; everything that it needs is handed in."""

    def __init__(
        self,
        *,
        objects: ObjectStore,
        claims: Claims,
        announcer: Announcer,
        prober: Prober,
        clock: Callable[[], datetime],
        max_bytes: int,
        spool_dir: Path | None,
    ) -> None:
        self._objects = objects
        self._claims = claims
        self._announcer = announcer
        self._prober = prober
        self._clock = clock
        self._max_bytes = max_bytes
        self._spool_dir = spool_dir

    async def take(self, form: UploadForm, idempotency_key: str | None) -> UploadAccepted:
        """Receive, check, store and announce one song.

        The object appears in the store only after everything about it is known and found good: its
        stream is held open until then, and broken off otherwise.

        Raises:
            UploadRefusedError: nothing was accepted, and why.
            TransientError: a dependency failed; sending the same again is safe.
        """
        hashed_key = sha256(idempotency_key.encode()).hexdigest() if idempotency_key else None
        try:
            async with asyncio.timeout(LONGEST_S):
                return await self._take(form, hashed_key)
        except TimeoutError as error:
            message = f"The upload took longer than {LONGEST_S / 60:g} minutes; use a faster connection."
            raise UploadRefusedError("upload_timeout", 408, message) from error

    async def _take(self, form: UploadForm, hashed_key: str | None) -> UploadAccepted:
        filename = plain_name(await form.filename())
        read_details(form.fields)  # what came before the file may already be wrong
        chunks = form.chunks()
        with Spool(self._spool_dir, self._max_bytes) as spool:
            song = _Song(form, filename, await _read_kind(spool, chunks), hashed_key)
            try:
                await self._objects.put_stream(
                    song.object_key,
                    self._checked(song, spool, chunks),
                    CONTENT_TYPES[song.container],
                )
            except _KnownBytesError as known:
                return _receipt(known.claim, hashed_key)
            return await self._accept(song, spool)

    async def _checked(self, song: _Song, spool: Spool, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        for piece in spool.pieces():
            yield piece
        async for chunk in chunks:
            spool.write(chunk)
            yield chunk
        await song.form.read_rest()
        song.details = read_details(song.form.fields)
        found = await self._usable(spool.sha256)
        if found is None:
            song.facts = await self._prober.probe(spool.path, song.container)
        await self._reserve(song.hashed_key, spool.sha256)
        if found is not None:
            raise _KnownBytesError(found.claim)
        pending = Pending(sha256=spool.sha256, object_key=song.object_key, since=self._clock())
        await self._claims.expect(song.track_id, pending)

    async def _usable(self, digest: str) -> Found | None:
        """The claim on these bytes, announced by now; one whose object never appeared is given up."""
        found = await self._claims.find(digest)
        if found is None or found.claim.state == "announced":
            return found
        if not await self._objects.exists(found.claim.event.audio.key):
            await self._claims.give_up(digest, found)
            return None
        await self._announcer.announce(found.claim)
        return found

    async def _reserve(self, hashed_key: str | None, digest: str) -> None:
        if hashed_key and not await self._claims.reserve(hashed_key, digest):
            message = "This Idempotency-Key was used for another file; use a new key for a new upload."
            raise UploadRefusedError("idempotency_key_reused", 422, message)

    async def _accept(self, song: _Song, spool: Spool) -> UploadAccepted:
        ours = Claim(state="claimed", event=self._event(song, spool), idempotency=song.hashed_key)
        holder = await self._claims.claim(spool.sha256, ours)
        if holder.event.track_id != song.track_id:
            await self._objects.delete(song.object_key)
            await self._claims.forget(song.track_id)
        if holder.state == "claimed":
            await self._announcer.announce(holder)
        return _receipt(holder, song.hashed_key, made=holder is ours)

    def _event(self, song: _Song, spool: Spool) -> TrackUploaded:
        facts, details = song.facts, song.details
        assert facts is not None, "the object's stream ends well only after the probe"
        return TrackUploaded(
            track_id=song.track_id,
            job_id=new_id("job"),
            audio=AudioRef(
                key=song.object_key,
                sha256=spool.sha256,
                size_bytes=spool.size,
                container=song.container,
                codec=facts.codec,
                duration_ms=facts.declared_ms,
                sample_rate_hz=facts.sample_rate_hz,
                channels=facts.channels,
            ),
            filename=song.filename,
            title=details.title or stem(song.filename),
            artist=details.artist,
            tags=details.tags,
            preset=details.preset,
            priority=details.priority,
            uploaded_at=self._clock(),
        )


async def _read_kind(spool: Spool, chunks: AsyncIterator[bytes]) -> Container:
    """Receive as much of a file as shows what it is: tags in front of the music may be long."""
    wanted = 1
    async for chunk in chunks:
        spool.write(chunk)
        if spool.size >= wanted:
            with spool.view() as data:
                wanted = bytes_wanted(data)
        if spool.size >= wanted:
            break
    if not spool.size:
        raise UploadRefusedError("empty_file", 422, "The file is empty; choose another one.")
    with spool.view() as data:
        return await in_thread(container_of, data)


def _receipt(claim: Claim, hashed_key: str | None, *, made: bool = False) -> UploadAccepted:
    """The same key and the same bytes get the answer of the first time."""
    again = hashed_key is not None and claim.idempotency == hashed_key
    status = "queued" if made or again else "existing"
    return UploadAccepted(track_id=claim.event.track_id, job_id=claim.event.job_id, status=status)
