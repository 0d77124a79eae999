"""How the bytes of a bundle come to a device: by HTTP Range, else chunk by chunk over the link."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import aiohttp
from pydantic import ValidationError

from k1_contracts.devices import ChunkHeader, FetchChunk, Stage
from k1_simulator.link import LinkError
from k1_simulator.verification import StageError

TRIES: Final = 4
"""Failures in a row, without a byte between them, after which a way is given up."""
_HTTP_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=3)
_OK, _PARTIAL_CONTENT = 200, 206
GONE: Final = frozenset({400, 401, 403, 404, 405, 410, 501})
"""Answers that another try does not change; a signed URL that has expired is 403."""

Way = Callable[[int, int], Awaitable[bytes]]
"""(offset, length) -> at most `length` bytes from `offset` on; raises BrokenOffError or NoWayError."""


class BrokenOffError(Exception):
    """It did not work this time."""


class NoWayError(Exception):
    """It will not work."""


class Tap(Protocol):
    """What bytes pass on their way to the flash: the place where transfers are disturbed."""

    async def __call__(self, offset: int, data: bytes) -> tuple[bytes, bool]:
        """The bytes that arrive, and whether the connection broke off after them."""
        ...


@dataclass(frozen=True, slots=True)
class Transfer:
    """One bundle, from where its file ends to its size."""

    stage: Stage
    file: Path
    tap: Tap
    progressed: Callable[[int], Awaitable[None]]
    rng: random.Random
    first_pause_s: float = 0.1
    """After the first failure in a row; it doubles with each further one."""

    async def run(self, ways: list[tuple[str, Way]]) -> None:
        """Append to the file until it is whole, trying each way until it is given up.

        Raises:
            StageError: `fetch_failed`, with what went wrong on each way; or `size_mismatch`.
        """
        reasons: list[str] = []
        for name, way in ways:
            try:
                return await self._by(way)
            except NoWayError as error:
                reasons.append(f"{name}: {error}")
        raise StageError("fetch_failed", "; ".join(reasons))

    async def _by(self, way: Way) -> None:
        offset, failures = self._received(), 0
        while offset < self.stage.size:
            try:
                offset += await self._step(way, offset)
                failures = 0
            except BrokenOffError as error:
                failures += 1
                if failures == TRIES:
                    raise NoWayError(f"{error} ({TRIES} times at byte {offset})") from error
                await asyncio.sleep(self.first_pause_s * 2 ** (failures - 1) * self.rng.uniform(1, 2))
            else:
                await self.progressed(offset)

    async def _step(self, way: Way, offset: int) -> int:
        length = min(self.stage.chunk_size, self.stage.size - offset)
        data, broken = await self.tap(offset, await way(offset, length))
        with self.file.open("ab") as file:
            file.write(data)
        if not data:
            raise BrokenOffError("the connection broke off" if broken else "nothing came")
        return len(data)

    def _received(self) -> int:
        """Bytes that are here; a file that is too long is of no use."""
        size = self.file.stat().st_size if self.file.exists() else 0
        if size > self.stage.size:
            self.file.unlink()
            return 0
        return size


def by_http(session: aiohttp.ClientSession, stage: Stage) -> Way:
    """Range requests to the signed URL."""

    async def get(offset: int, length: int) -> bytes:
        wanted = {"Range": f"bytes={offset}-{offset + length - 1}"}
        try:
            async with session.get(stage.url, headers=wanted, timeout=_HTTP_TIMEOUT) as response:
                if response.status in GONE:
                    raise NoWayError(f"HTTP {response.status}")
                if response.status not in {_OK, _PARTIAL_CONTENT}:
                    raise BrokenOffError(f"HTTP {response.status}")
                skip = _skip(response, stage.size, offset)
                try:
                    return (await response.content.readexactly(skip + length))[skip:]
                except asyncio.IncompleteReadError as error:
                    return error.partial[skip:]
        except aiohttp.InvalidURL as error:
            raise NoWayError(f"the URL cannot be used: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BrokenOffError(f"HTTP: {type(error).__name__} {error}") from error

    return get


def _skip(response: aiohttp.ClientResponse, size: int, offset: int) -> int:
    """How many bytes of the body come before `offset`. Some stores say 200 to a range; Content-Range tells.

    Raises:
        StageError: the object has another size than the bundle.
        BrokenOffError, NoWayError: it is another part, or nobody knows which.
    """
    content_range = response.headers.get("Content-Range")
    if content_range is None:
        if response.status == _PARTIAL_CONTENT:
            raise NoWayError("the store sent a part without saying which")
        length, first = response.content_length, 0
    else:
        unit, _, said = content_range.partition(" ")
        span, _, total = said.partition("/")
        start = span.partition("-")[0]
        if unit != "bytes" or not start.isdecimal() or int(start) > offset:
            raise BrokenOffError(f"the store sent {content_range}, not from byte {offset}")
        length, first = int(total) if total.isdecimal() else None, int(start)
    if length is not None and length != size:
        raise StageError("size_mismatch", f"the bundle has {size} bytes, the stored object {length}")
    return offset - first


def by_link(ask: Callable[[FetchChunk], Awaitable[bytes]], stage: Stage) -> Way:
    """Chunks over the link; `ask` gives the header, a newline and the bytes."""

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
            raise BrokenOffError(str(error)) from error
        except ValidationError as error:
            raise BrokenOffError("the chunk has no header") from error
        if header.error:
            raise BrokenOffError(header.error)
        expected = (stage.bundle_sha256, offset, len(data))
        if (header.bundle_sha256, header.offset, header.length) != expected or len(data) > length:
            raise BrokenOffError("another chunk came")
        return data

    return get
