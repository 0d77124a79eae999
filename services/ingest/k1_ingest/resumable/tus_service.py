"""Resumable uploads after tus 1.0: creates them, takes their bytes, and makes tracks of those that are whole."""

import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from k1_contracts.ids import UPLOAD_ID_PATTERN, new_id
from k1_contracts.messages.catalogue.tracks import UploadAccepted
from k1_ingest.errors import UploadRejectedError
from k1_ingest.form.fields import read_fields
from k1_ingest.open_uploads.store import Found, OpenUploads
from k1_ingest.resumable import protocol
from k1_ingest.resumable.part_writer import OFFSET_CONFLICT, PartWriter
from k1_ingest.resumable.record import LIFETIME, Failure, ResumableUpload
from k1_ingest.uploads.song_source import StoredSong
from k1_ingest.uploads.upload_service import UploadService
from k1_platform.errors import TransientError
from k1_platform.nats.actors import acting_as, current_actor
from k1_platform.storage.objects import ObjectNotFoundError, ObjectStore

_UPLOAD_ID: Final = re.compile(UPLOAD_ID_PATTERN)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TusService:
    """Resumable uploads. Any process of ingest can go on with an upload, because nothing of it lies on its disk."""

    objects: ObjectStore
    store: OpenUploads
    uploads: UploadService
    clock: Callable[[], datetime]
    max_bytes: int

    async def create(self, headers: Mapping[str, str]) -> tuple[str, ResumableUpload]:
        """Begin an upload; return its id.

        Raises:
            UploadRejectedError: the headers are wrong, or the fields in the metadata are.
        """
        length = protocol.parse_length(headers, self.max_bytes)
        given = headers.get("Upload-Metadata", "")
        metadata = protocol.parse_metadata(given)
        fields = protocol.form_fields(metadata)
        read_fields(fields)
        upload = ResumableUpload(
            length=length,
            metadata=given,
            filename=protocol.file_name(metadata),
            fields=fields,
            expires_at=self.clock() + LIFETIME,
            actor=current_actor(),
        )
        upload_id = new_id("upl")
        await self.store.create(upload_id, upload)
        return upload_id, upload

    async def find(self, upload_id: str) -> Found[ResumableUpload]:
        """Return an upload; one that is whole is completed first.

        Raises:
            UploadRejectedError: `upload_not_found` (404), or that the whole file was rejected.
        """
        found = await self._require(upload_id)
        return await self._complete(upload_id, found) if found.record.is_whole else found

    async def append(
        self, upload_id: str, headers: Mapping[str, str], body: AsyncIterator[bytes]
    ) -> ResumableUpload:
        """Add the body to an upload, and make a track of it when it is whole.

        Raises:
            UploadRejectedError: nothing was added, or a part of the body; HEAD tells the offset.
        """
        offset = protocol.parse_offset(headers)
        checksum = protocol.parse_checksum(headers)
        found = await self._with_length(upload_id, headers)
        if offset != found.record.offset:
            raise OFFSET_CONFLICT
        length = found.record.length
        limit = self.max_bytes if length is None else length
        declared = protocol.parse_number(headers, "Content-Length")
        if declared is not None and offset + declared > limit:
            raise UploadRejectedError("too_large", 413, "The body holds more bytes than are left to send.")
        if not found.record.is_whole:
            writer = PartWriter(self.objects, self.store, self.clock, upload_id, found, checksum, limit)
            found = await writer.write(body)
        return (await self._complete(upload_id, found)).record if found.record.is_whole else found.record

    async def terminate(self, upload_id: str) -> None:
        """Forget an upload and remove its bytes; a track that was made of it stays."""
        found = await self._require(upload_id)
        await self.store.remove(upload_id)
        await self._remove_parts(found.record)

    async def expire(self, upload_id: str) -> None:
        """Remove an upload that has expired; for the sweep, which removes its parts later."""
        if _UPLOAD_ID.fullmatch(upload_id):
            found = await self.store.find(upload_id, ResumableUpload)
            if found is not None and found.record.expires_at <= self.clock():
                await self.store.remove(upload_id)
                await self._remove_parts(found.record)

    async def finish_whole(self, upload_id: str) -> None:
        """Make a track of an upload whose last byte has arrived and whose process then ended; for the sweep."""
        if not _UPLOAD_ID.fullmatch(upload_id):
            return
        found = await self.store.find(upload_id, ResumableUpload)
        if found is None or not found.record.is_whole or found.record.accepted or found.record.failure:
            return
        with suppress(UploadRejectedError):
            await self._complete(upload_id, found)

    async def _require(self, upload_id: str) -> Found[ResumableUpload]:
        known = _UPLOAD_ID.fullmatch(upload_id) is not None
        found = await self.store.find(upload_id, ResumableUpload) if known else None
        actor = current_actor()
        if found is not None and found.record.expires_at > self.clock():
            owner = found.record.actor
            if owner is None or actor is None or (owner.kind, owner.id) == (actor.kind, actor.id):
                return found
        message = "There is no such upload; it may have expired. Begin a new one."
        raise UploadRejectedError("upload_not_found", 404, message)

    async def _with_length(self, upload_id: str, headers: Mapping[str, str]) -> Found[ResumableUpload]:
        """Return the upload; with the length that this request tells, where it was unknown."""
        found = await self._require(upload_id)
        length = protocol.parse_number(headers, "Upload-Length")
        if length is None or length == found.record.length:
            return found
        if found.record.length is not None or length < found.record.offset:
            message = "Upload-Length differs from what the upload has."
            raise UploadRejectedError("invalid_upload_header", 400, message)
        protocol.require_size(length, self.max_bytes)
        written = await self.store.replace(upload_id, found, found.record.with_length(length))
        if written is None:
            raise OFFSET_CONFLICT
        return written

    async def _complete(self, upload_id: str, found: Found[ResumableUpload]) -> Found[ResumableUpload]:
        """Make a track of a whole upload, once. Several processes may do it at the same time: the result is the same.

        Raises:
            UploadRejectedError: the song is rejected, now or earlier.
            TransientError: a dependency failed; every byte stays, and HEAD tries it again.
        """
        upload = found.record
        if upload.failure is not None:
            raise UploadRejectedError(upload.failure.code, upload.failure.status, upload.failure.message)
        if upload.accepted is not None:
            return found
        song = StoredSong(upload.filename, upload.fields, lambda: self._bytes(upload))
        try:
            with acting_as(upload.actor):
                outcome: UploadAccepted | Failure = await self.uploads.accept(song, upload_id)
        except UploadRejectedError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status == HTTPStatus.REQUEST_TIMEOUT:
                raise
            outcome = Failure(code=error.code, status=error.status, message=str(error))
        return await self._end(upload_id, found, outcome)

    async def _end(
        self, upload_id: str, found: Found[ResumableUpload], outcome: UploadAccepted | Failure
    ) -> Found[ResumableUpload]:
        written = await self.store.replace(upload_id, found, found.record.ended(outcome))
        if written is None:  # another process was faster
            again = await self._require(upload_id)
            return await self._complete(upload_id, again)
        await self._remove_parts(found.record)
        if isinstance(outcome, Failure):
            raise UploadRejectedError(outcome.code, outcome.status, outcome.message)
        return written

    async def _bytes(self, upload: ResumableUpload) -> AsyncIterator[bytes]:
        for part in upload.parts:
            try:
                yield await self.objects.get_bytes(part.key)
            except ObjectNotFoundError as error:
                raise TransientError("a part is gone: another process completes this upload") from error

    async def _remove_parts(self, upload: ResumableUpload) -> None:
        try:
            for part in upload.parts:
                await self.objects.delete(part.key)
        except TransientError as error:  # the sweep removes them later
            _log.warning("parts of an upload stay for now", extra={"reason": str(error)})
