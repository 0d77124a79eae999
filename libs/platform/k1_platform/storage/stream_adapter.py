"""A file object for a blocking reader in a thread, fed chunk by chunk from the event loop."""

import asyncio
import threading
from collections import deque
from typing import Final

HIGH_WATER: Final = 1024 * 1024
"""Bytes that wait before the writer is held back."""


class StreamAdapter:
    """Bytes put on the loop's side are read on the thread's side; memory stays bounded.

    `read(n)` blocks until n bytes are there or the stream has ended, as the readers of
    object-store clients expect.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._ended = False
        self._error: BaseException | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._reader_gone = False

    async def put(self, chunk: bytes) -> None:
        """Hand over a chunk; waits while too much is waiting."""
        await self._room.wait()
        with self._changed:
            self._chunks.append(chunk)
            self._waiting += len(chunk)
            if self._waiting >= HIGH_WATER and not self._reader_gone:
                self._room.clear()
            self._changed.notify()

    async def end(self) -> None:
        """There is no more."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def fail(self, error: BaseException) -> None:
        """Make the reader's next `read` raise."""
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify()

    def reader_ended(self) -> None:
        """The reader stopped, perhaps before the end; never hold the writer back again."""
        with self._changed:
            self._reader_gone = True
        self._room.set()

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, fewer only at the end; called from the reader's thread.

        Raises:
            InterruptedError: the writing side failed.
        """
        parts: list[bytes] = []
        missing = size
        while size < 0 or missing > 0:
            part = self._next(missing if size >= 0 else -1)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _next(self, limit: int) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._ended)
            if self._error is not None:
                raise InterruptedError("the upload stopped") from self._error
            if not self._chunks:
                return b""
            chunk = self._chunks.popleft()
            if 0 <= limit < len(chunk):
                self._chunks.appendleft(chunk[limit:])
                chunk = chunk[:limit]
            self._waiting -= len(chunk)
            if self._waiting < HIGH_WATER // 2:
                self._loop.call_soon_threadsafe(self._room.set)
        return chunk
