"""Adapts an asynchronous stream of chunks to a file object for a blocking reader in a thread."""

import asyncio
import threading
from collections import deque
from typing import Final

HIGH_WATER: Final = 1024 * 1024
"""The number of unread bytes at which the writer has to wait."""


class StreamAdapter:
    """Passes bytes from the event loop to a reader in a thread; the number of unread bytes is bounded.

    `read(n)` blocks until n bytes have arrived or the stream has ended, as object-store clients expect.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._unread = 0
        self._ended = False
        self._error: BaseException | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._reader_stopped = False

    async def put(self, chunk: bytes) -> None:
        """Add a chunk; wait while too many bytes are unread."""
        await self._writable.wait()
        with self._changed:
            self._chunks.append(chunk)
            self._unread += len(chunk)
            if self._unread >= HIGH_WATER and not self._reader_stopped:
                self._writable.clear()
            self._changed.notify()

    async def end(self) -> None:
        """Mark the end of the stream."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def fail(self, error: BaseException) -> None:
        """Make the next `read` of the reader raise."""
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify()

    def reader_ended(self) -> None:
        """Record that the reader has stopped, perhaps before the end; the writer never waits again."""
        with self._changed:
            self._reader_stopped = True
        self._writable.set()

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer only at the end; called from the thread of the reader.

        Raises:
            InterruptedError: the writer failed.
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
            self._unread -= len(chunk)
            if self._unread < HIGH_WATER // 2:
                self._loop.call_soon_threadsafe(self._writable.set)
        return chunk
