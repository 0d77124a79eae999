"""Reads the multipart form of an upload once, part by part, in the order in which the client sends it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Final, TypeVar

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from k1_contracts.upload_form import FILE_FIELD, MAX_FIELD_BYTES, MAX_FIELDS, sanitize_text
from k1_ingest.errors import UploadRejectedError, malformed_form
from k1_ingest.form.content_disposition import parse_part_names

CHUNK_BYTES: Final = 64 * 1024
_MAX_REASON_LENGTH: Final = 200
T = TypeVar("T")


class UploadFormReader:
    """Reads the fields before the file, the file, and the fields after it."""

    def __init__(self, request: web.Request, pause_s: float) -> None:
        """`pause_s` is how long the client may send nothing."""
        if request.content_type != "multipart/form-data":
            raise malformed_form(f"The body is {request.content_type[:_MAX_REASON_LENGTH]}")
        try:
            self._reader = MultipartReader(request.headers, request.content)
        except (ValueError, AssertionError) as error:
            raise malformed_form(f"The form cannot be read: {sanitize_text(str(error))}") from error
        self._pause_s = pause_s
        self._file: BodyPartReader | None = None
        self.fields: list[tuple[str, str]] = []

    async def filename(self) -> str:
        """Read up to the file part and return its file name.

        Raises:
            UploadRejectedError: `malformed_upload` when there is no file part. Every method here may raise it.
        """
        await self._read_fields()
        if self._file is None:
            raise malformed_form(f"The form has no part named `{FILE_FIELD}`")
        return _part_names(self._file)[1]

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the file."""
        while chunk := await self._chunk():
            yield chunk

    async def read_rest(self) -> None:
        """Read the fields after the file."""
        self._file = None
        await self._read_fields()
        if self._file is not None:
            raise malformed_form(f"The form has two parts named `{FILE_FIELD}`")

    async def _read_fields(self) -> None:
        while (part := await self._next_part()) is not None:
            name = _part_names(part)[0]
            if name == FILE_FIELD:
                self._file = part
                return
            if len(self.fields) >= MAX_FIELDS:
                raise malformed_form(f"The form has more than {MAX_FIELDS} fields")
            self.fields.append((name, await self._text(part, name)))

    async def _next_part(self) -> BodyPartReader | None:
        part = await self._read_within_pause(self._reader.next())
        if part is not None and not isinstance(part, BodyPartReader):
            raise malformed_form("The form holds another multipart body")
        return part

    async def _text(self, part: BodyPartReader, name: str) -> str:
        value = b""
        while chunk := await self._read_within_pause(part.read_chunk(MAX_FIELD_BYTES)):
            value += chunk
            if len(value) > MAX_FIELD_BYTES:
                raise malformed_form(f"The field {name} is longer than {MAX_FIELD_BYTES} bytes")
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise malformed_form(f"The field {name} is not UTF-8") from error

    async def _chunk(self) -> bytes:
        assert self._file is not None, "read up to the file first"
        return await self._read_within_pause(self._file.read_chunk(CHUNK_BYTES))

    async def _read_within_pause(self, reading: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._pause_s):
                return await reading
        except TimeoutError as error:
            message = f"Nothing came for {self._pause_s:g} s; check the connection and upload again."
            raise UploadRejectedError("upload_timeout", 408, message) from error
        except ConnectionError as error:
            message = "The connection ended before the upload did; upload again."
            raise UploadRejectedError("upload_interrupted", 400, message) from error
        except Exception as error:
            # Only aiohttp's parser runs here, on bytes of a client. It raises more kinds of errors than it documents.
            raise malformed_form(f"The form cannot be read to its end: {_reason(error)}") from error


def _part_names(part: BodyPartReader) -> tuple[str, str]:
    """Return the name of the field, sanitized, and the name of the file as it was sent."""
    field, file = parse_part_names(part.headers.get("Content-Disposition", ""))
    return sanitize_text(field), file


def _reason(error: Exception) -> str:
    """Return the parser's message as one short line."""
    if isinstance(error, LineTooLong):
        return "a header of a part is too long"
    text = error.message if isinstance(error, HttpProcessingError) else str(error)
    return sanitize_text(text.partition("\n")[0])[:_MAX_REASON_LENGTH].rstrip(":. ") or type(error).__name__
