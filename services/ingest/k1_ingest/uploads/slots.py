"""Limits how many songs are received and checked at the same time, and measures them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from k1_ingest.errors import UploadRejectedError

_BUSY: Final = UploadRejectedError("busy", 503, "Too many uploads are under way; try again in a few seconds.")


class UploadSlots:
    """Places for uploads. Further uploads wait for one, with their bytes unread."""

    def __init__(self, places: int, patience_s: float, registry: CollectorRegistry) -> None:
        """`patience_s` is how long an upload waits for a place."""
        self._slots = asyncio.Semaphore(places)
        self._patience_s = patience_s
        self.outcomes = Counter("k1_ingest_uploads", "Uploads by outcome", ["outcome"], registry=registry)
        self._running = Gauge("k1_ingest_uploads_in_progress", "Uploads in progress", registry=registry)
        self._seconds = Histogram(
            "k1_ingest_upload_seconds", "Time from the start of an upload to its response", registry=registry
        )

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[None]:
        """Hold a place.

        Raises:
            UploadRejectedError: `busy`, when there was none in time.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                await self._slots.acquire()
        except TimeoutError as error:
            raise _BUSY from error
        try:
            with self._running.track_inprogress(), self._seconds.time():
                yield
        finally:
            self._slots.release()
