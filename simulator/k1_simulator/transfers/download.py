"""Downloads the bytes of a bundle: by HTTP Range, else in chunks over the link."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import aiohttp
from pydantic import ValidationError

from k1_contracts.messages.deploy.device_link import ChunkHeader, FetchChunk, Stage
from k1_platform.processes.backoff import BackoffSchedule
from k1_simulator.links.link import LinkError
from k1_simulator.verification import StageError

MAX_FAILURES: Final = 4
"""A source is given up after this many failures in a row without a byte."""
FETCH_BACKOFF: Final = BackoffSchedule(first_s=0.1, jitter=(1.0, 2.0))
"""The pauses after failures in a row."""
_HTTP_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=3)
_OK, _PARTIAL_CONTENT = 200, 206
PERMANENT_STATUSES: Final = frozenset({400, 401, 403, 404, 405, 410, 501})
"""HTTP statuses that a retry does not change; an expired signed URL has 403."""

ByteSource = Callable[[int, int], Awaitable[bytes]]
"""(offset, length) -> at most `length` bytes from `offset`; raises InterruptedDownloadError or SourceUnavailableError."""


class InterruptedDownloadError(Exception):
    """The download failed this time; a retry may succeed."""


class SourceUnavailableError(Exception):
    """The source cannot deliver the bundle; a retry is useless."""


class ByteFilter(Protocol):
    """Filters the bytes between the source and the flash; faults are injected here."""

    async def __call__(self, offset: int, data: bytes) -> tuple[bytes, bool]:
        """Return the bytes that arrive, and whether the connection breaks after them."""
        ...


@dataclass(frozen=True, slots=True)
class Download:
    """Downloads one bundle, from the end of its file to its size."""

    stage: Stage
    file: Path
    byte_filter: ByteFilter
    progressed: Callable[[int], Awaitable[None]]
    rng: random.Random
    backoff: BackoffSchedule = FETCH_BACKOFF

    async def run(self, sources: list[tuple[str, ByteSource]]) -> None:
        """Append to the file until it is complete, using each source until it is given up.

        Raises:
            StageError: `fetch_failed`, with the error of each source; or `size_mismatch`.
        """
        reasons: list[str] = []
        for name, source in sources:
            try:
                return await self._download_from(source)
            except SourceUnavailableError as error:
                reasons.append(f"{name}: {error}")
        raise StageError("fetch_failed", "; ".join(reasons))

    async def _download_from(self, source: ByteSource) -> None:
        offset, failures = self._received(), 0
        while offset < self.stage.size:
            try:
                offset += await self._step(source, offset)
                failures = 0
            except InterruptedDownloadError as error:
                failures += 1
                if failures == MAX_FAILURES:
                    raise SourceUnavailableError(
                        f"{error} ({MAX_FAILURES} times at byte {offset})"
                    ) from error
                await asyncio.sleep(self.backoff.pause_s(failures, self.rng))
            else:
                await self.progressed(offset)

    async def _step(self, source: ByteSource, offset: int) -> int:
        length = min(self.stage.chunk_size, self.stage.size - offset)
        data, broken = await self.byte_filter(offset, await source(offset, length))
        with self.file.open("ab") as file:
            file.write(data)
        if not data:
            raise InterruptedDownloadError("the connection broke off" if broken else "nothing came")
        return len(data)

    def _received(self) -> int:
        """Return the number of stored bytes; delete a file that is too long."""
        size = self.file.stat().st_size if self.file.exists() else 0
        if size > self.stage.size:
            self.file.unlink()
            return 0
        return size


def http_source(session: aiohttp.ClientSession, stage: Stage) -> ByteSource:
    """Return a source that sends range requests to the signed URL."""

    async def get(offset: int, length: int) -> bytes:
        wanted = {"Range": f"bytes={offset}-{offset + length - 1}"}
        try:
            async with session.get(stage.url, headers=wanted, timeout=_HTTP_TIMEOUT) as response:
                if response.status in PERMANENT_STATUSES:
                    raise SourceUnavailableError(f"HTTP {response.status}")
                if response.status not in {_OK, _PARTIAL_CONTENT}:
                    raise InterruptedDownloadError(f"HTTP {response.status}")
                skip = _skip(response, stage.size, offset)
                try:
                    return (await response.content.readexactly(skip + length))[skip:]
                except asyncio.IncompleteReadError as error:
                    return error.partial[skip:]
        except aiohttp.InvalidURL as error:
            raise SourceUnavailableError(f"the URL cannot be used: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise InterruptedDownloadError(f"HTTP: {type(error).__name__} {error}") from error

    return get


def _skip(response: aiohttp.ClientResponse, size: int, offset: int) -> int:
    """Return how many bytes of the body come before `offset`; some stores respond 200 with a Content-Range.

    Raises:
        StageError: the object has another size than the bundle.
        InterruptedDownloadError, SourceUnavailableError: it is another part, or an unknown one.
    """
    content_range = response.headers.get("Content-Range")
    if content_range is None:
        if response.status == _PARTIAL_CONTENT:
            raise SourceUnavailableError("the store sent a part without saying which")
        length, first = response.content_length, 0
    else:
        unit, _, said = content_range.partition(" ")
        span, _, total = said.partition("/")
        start = span.partition("-")[0]
        if unit != "bytes" or not start.isdecimal() or int(start) > offset:
            raise InterruptedDownloadError(f"the store sent {content_range}, not from byte {offset}")
        length, first = int(total) if total.isdecimal() else None, int(start)
    if length is not None and length != size:
        raise StageError("size_mismatch", f"the bundle has {size} bytes, the stored object {length}")
    return offset - first


def link_source(ask: Callable[[FetchChunk], Awaitable[bytes]], stage: Stage) -> ByteSource:
    """Return a source that requests chunks over the link; `ask` returns the header, a newline and the bytes."""

    async def get(offset: int, length: int) -> bytes:
        request = FetchChunk(
            request_id=f"{stage.command_id[:60]}:{offset}",
            bundle_sha256=stage.bundle_sha256,
            offset=offset,
            length=length,
        )
        try:
            head, _, data = (await ask(request)).partition(b"\n")
            header = ChunkHeader.model_validate_json(head)
        except LinkError as error:
            raise InterruptedDownloadError(str(error)) from error
        except ValidationError as error:
            raise InterruptedDownloadError("the chunk has no header") from error
        if header.error:
            raise InterruptedDownloadError(header.error)
        expected = (stage.bundle_sha256, offset, len(data))
        if (header.bundle_sha256, header.offset, header.length) != expected or len(data) > length:
            raise InterruptedDownloadError("another chunk came")
        return data

    return get
