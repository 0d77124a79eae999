"""The multipart form of an upload, read once, in the order in which it comes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Final, TypeVar

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from k1_ingest.disposition import part_names
from k1_ingest.errors import UploadRefusedError, malformed
from k1_ingest.names import plain_text

CHUNK_BYTES: Final = 64 * 1024
_LONGEST_FIELD_BYTES: Final = 16 * 1024
_MOST_FIELDS: Final = 100
_LONGEST_REASON: Final = 200
T = TypeVar("T")


class UploadForm:
    """Fields before the file, the file, fields after it."""

    def __init__(self, request: web.Request, pause_s: float) -> None:
        """`pause_s`: how long the client may send nothing."""
        if request.content_type != "multipart/form-data":
            raise malformed(f"The body is {request.content_type[:_LONGEST_REASON]}")
        try:
            self._reader = MultipartReader(request.headers, request.content)
        except (ValueError, AssertionError) as error:
            raise malformed(f"The form cannot be read: {plain_text(str(error))}") from error
        self._pause_s = pause_s
        self._file: BodyPartReader | None = None
        self.fields: list[tuple[str, str]] = []

    async def filename(self) -> str:
        """Read up to the file part and return the name that it gives.

        Raises:
            UploadRefusedError: `malformed_upload` when there is no file part, as from every method here.
        """
        await self._read_fields()
        if self._file is None:
            raise malformed("The form has no part named `file`")
        return _names(self._file)[1]

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file's bytes."""
        while chunk := await self._chunk():
            yield chunk

    async def read_rest(self) -> None:
        """Read the fields after the file."""
        self._file = None
        await self._read_fields()
        if self._file is not None:
            raise malformed("The form has two parts named `file`")

    async def _read_fields(self) -> None:
        while (part := await self._next_part()) is not None:
            name = _names(part)[0]
            if name == "file":
                self._file = part
                return
            if len(self.fields) >= _MOST_FIELDS:
                raise malformed(f"The form has more than {_MOST_FIELDS} fields")
            self.fields.append((name, await self._text(part, name)))

    async def _next_part(self) -> BodyPartReader | None:
        part = await self._patiently(self._reader.next())
        if part is not None and not isinstance(part, BodyPartReader):
            raise malformed("The form holds another multipart body")
        return part

    async def _text(self, part: BodyPartReader, name: str) -> str:
        value = b""
        while chunk := await self._patiently(part.read_chunk(_LONGEST_FIELD_BYTES)):
            value += chunk
            if len(value) > _LONGEST_FIELD_BYTES:
                raise malformed(f"The field {name} is longer than {_LONGEST_FIELD_BYTES} bytes")
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise malformed(f"The field {name} is not UTF-8") from error

    async def _chunk(self) -> bytes:
        assert self._file is not None, "read up to the file first"
        return await self._patiently(self._file.read_chunk(CHUNK_BYTES))

    async def _patiently(self, reading: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._pause_s):
                return await reading
        except TimeoutError as error:
            message = f"Nothing came for {self._pause_s:g} s; check the connection and upload again."
            raise UploadRefusedError("upload_timeout", 408, message) from error
        except ConnectionError as error:
            message = "The connection ended before the upload did; upload again."
            raise UploadRefusedError("upload_interrupted", 400, message) from error
        except Exception as error:
            # Only the parser runs here, on bytes from outside, and it raises more kinds than it documents.
            raise malformed(f"The form cannot be read to its end: {_reason(error)}") from error


def _names(part: BodyPartReader) -> tuple[str, str]:
    """Return the names of the field, harmless, and of the file, as it was sent."""
    field, file = part_names(part.headers.get("Content-Disposition", ""))
    return plain_text(field), file


def _reason(error: Exception) -> str:
    """Return what the parser says, in one short line."""
    if isinstance(error, LineTooLong):
        return "a header of a part is too long"
    text = error.message if isinstance(error, HttpProcessingError) else str(error)
    return plain_text(text.partition("\n")[0])[:_LONGEST_REASON].rstrip(":. ") or type(error).__name__
