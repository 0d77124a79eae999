"""Removes uploads that nobody goes on with: records after their time, objects without a record."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from k1_ingest.open_uploads.store import OBJECTS, OpenUploads
from k1_platform.errors import TransientError
from k1_platform.storage.objects import ObjectStore

ORPHAN_AGE: Final = timedelta(hours=1)
"""Longer than any request takes: an older object without a record was left by a crash."""
_INTERVAL_S: Final = 60.0
_log = logging.getLogger(__name__)
Expire = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class OpenUploadSweep:
    """Sweeps at the start and every minute. Several processes may do it at the same time."""

    store: OpenUploads
    objects: ObjectStore
    clock: Callable[[], datetime]
    expire: Sequence[Expire]
    """Functions that remove the record with this id if it is of their kind and its time has passed."""

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except TransientError as error:
                _log.warning("sweep of open uploads postponed", extra={"reason": str(error)})
            await asyncio.sleep(_INTERVAL_S)

    async def sweep(self) -> None:
        """Remove what has expired, then the objects that no record knows."""
        for upload_id in await self.store.list_ids():
            for expire in self.expire:
                await expire(upload_id)
        objects = [each async for batch in self.objects.batches(OBJECTS) for each in batch]
        known = set(await self.store.list_ids())  # after the objects, so that a new upload is not missed
        for item in objects:
            upload_id = item.key.removeprefix(OBJECTS).partition("/")[0]
            if upload_id not in known and self.clock() - item.stored_at > ORPHAN_AGE:
                await self.objects.delete(item.key)
                _log.info("deleted a part without an upload", extra={"key": item.key})
