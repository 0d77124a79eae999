"""Stores the body of a PATCH as parts, and counts them in the record of the upload.

The record changes by compare-and-set. Of two requests that write at the same offset one counts, and the other removes
what it stored, whichever process they reach. A part is counted as soon as it is stored, so little is sent again after
a crash; where the client declared a checksum, all parts of the body are counted together at its end.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime

from ulid import ULID

from k1_ingest.errors import UploadRejectedError
from k1_ingest.open_uploads.store import OBJECTS, Found, OpenUploads
from k1_ingest.resumable.protocol import Checksum
from k1_ingest.resumable.record import PART_BYTES, Part, ResumableUpload
from k1_platform.storage.objects import ObjectStore

OFFSET_CONFLICT = UploadRejectedError(
    "offset_conflict", 409, "The upload has another offset; ask for it with HEAD and go on from there."
)


@dataclass(slots=True)
class PartWriter:
    """Writes the body of one PATCH."""

    objects: ObjectStore
    store: OpenUploads
    clock: Callable[[], datetime]
    upload_id: str
    found: Found[ResumableUpload]
    checksum: Checksum | None
    limit: int
    """The most bytes that the whole upload may have."""
    _buffer: bytearray = field(default_factory=bytearray)
    _joined: Part | None = None
    _draft: ResumableUpload = field(init=False)
    _stored: list[str] = field(default_factory=list[str])
    _obsolete: list[str] = field(default_factory=list[str])
    _is_uncertain: bool = False
    """Whether the broker did not say if it wrote the last record. Then no part may be removed."""

    def __post_init__(self) -> None:
        self._draft = self.found.record

    async def write(self, body: AsyncIterator[bytes]) -> Found[ResumableUpload]:
        """Store the body and return the record that counts it.

        Where the body ends early, what has arrived is counted, unless it has a checksum; then the error is raised.

        Raises:
            UploadRejectedError: `offset_conflict`, `too_large` or `checksum_mismatch`; or as `body` raises it.
        """
        try:
            await self._join()
            try:
                async for chunk in body:
                    await self._add(chunk)
            except BaseException:
                if self.checksum is None:
                    await self._flush()
                raise
            await self._finish()
        finally:
            await self._remove_uncounted()
        return self.found

    async def _join(self) -> None:
        """Take the last part into memory, where small parts have become many."""
        self._joined = self._draft.joinable()
        if self._joined is not None:
            self._buffer += await self.objects.get_bytes(self._joined.key)

    async def _add(self, chunk: bytes) -> None:
        joined = self._joined.size if self._joined else 0
        if self._draft.offset + len(self._buffer) - joined + len(chunk) > self.limit:
            raise UploadRejectedError("too_large", 413, "More bytes came than Upload-Length declares.")
        if self.checksum is not None:
            self.checksum.add(chunk)
        self._buffer += chunk
        while len(self._buffer) >= PART_BYTES:
            await self._store(PART_BYTES)

    async def _finish(self) -> None:
        if self.checksum is not None:
            self.checksum.require_match()
        await self._flush()
        await self._count()

    async def _flush(self) -> None:
        if len(self._buffer) > (self._joined.size if self._joined else 0):
            await self._store(len(self._buffer))

    async def _store(self, size: int) -> None:
        key = f"{OBJECTS}{self.upload_id}/{self._draft.offset:09d}-{ULID()}"
        self._stored.append(key)
        await self.objects.put_bytes(key, bytes(self._buffer[:size]), "application/octet-stream")
        self._draft = self._draft.with_part(Part(key=key, size=size), self._joined, self.clock())
        if self._joined is not None:
            self._obsolete.append(self._joined.key)
        self._joined = None
        del self._buffer[:size]
        if self.checksum is None:
            await self._count()

    async def _count(self) -> None:
        """Write the record, if it changed."""
        if self._draft == self.found.record:
            return
        self._is_uncertain = True
        written = await self.store.replace(self.upload_id, self.found, self._draft)
        self._is_uncertain = False
        if written is None:
            raise OFFSET_CONFLICT
        self.found = written

    async def _remove_uncounted(self) -> None:
        if self._is_uncertain:  # the sweep removes what is not needed when the upload has ended
            return
        counted = {part.key for part in self.found.record.parts}
        unused = [key for key in (*self._stored, *self._obsolete) if key not in counted]
        for key in unused:
            await self.objects.delete(key)
