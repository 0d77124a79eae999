"""Removes deleted tracks for good, with everything that only they refer to.

The steps of one purge, each of which can be repeated: mark the track and announce `track.purged`, so that ingest forgets
its claim on the bytes; delete the maps; delete the objects; remove the rows. The rows are removed last, so a purge that
was interrupted anywhere begins again. Of several processes one purges at a time (an advisory lock).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn

from k1_catalogue.database import SCHEMA
from k1_catalogue.edits import purge_store
from k1_catalogue.edits.purge_store import DueTrack
from k1_catalogue.edits.track_edits import PURGE_AFTER
from k1_catalogue.maps.store import MapStore
from k1_catalogue.tracks.audit_store import write_audit_entry
from k1_contracts.messages.catalogue.track_edits import TRACK_PURGED, TrackPurged
from k1_platform.errors import TransientError
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import DATABASE_ERRORS, Pool, session_lock
from k1_platform.storage.objects import ObjectStore

_INTERVAL_S: Final = 600.0
_BATCH: Final = 100
_MANIFEST: Final = "manifest.json"
"""Analysis takes a stored manifest to mean that all its files are stored, so it is deleted before them."""
_WITH_MANIFEST: Final = ("artefacts/", "overrides/", "runs/")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Purger:
    """Purges deleted tracks; `run` is background work of the service."""

    pool: Pool
    maps: MapStore
    objects: ObjectStore
    clock: Callable[[], datetime]
    purge_after: timedelta = PURGE_AFTER
    is_paused: Callable[[], Awaitable[bool]] | None = None
    """Returns whether `run` must remove nothing, because a backup is being made."""

    async def run(self) -> NoReturn:
        """Purge the due tracks every ten minutes; while a store does not respond, try again later."""
        while True:
            try:
                if self.is_paused is None or not await self.is_paused():
                    await self.purge_due()
            except (TransientError, *DATABASE_ERRORS) as error:
                _log.warning("purge postponed", extra={"reason": repr(error)})
            await asyncio.sleep(_INTERVAL_S)

    async def find_due(self) -> list[DueTrack]:
        """Return the next tracks that `purge_due` would remove."""
        async with self.pool.acquire() as connection:
            return await purge_store.due_tracks(connection, self._deleted_before(), _BATCH)

    async def purge_due(self) -> list[DueTrack]:
        """Remove the tracks that are due and return them; do nothing while another process does."""
        async with session_lock(self.pool, f"{SCHEMA}.purge") as held:
            if not held:
                return []
            due = await self.find_due()
            return [track for track in due if await self._purge(track.id)]

    async def _purge(self, track_id: str) -> bool:
        """Remove a track; return False if it was restored in the meantime."""
        if not await self._start(track_id):
            return False
        await self.maps.delete(track_id)
        async with self.pool.acquire() as connection:
            keys = await purge_store.own_keys(connection, track_id)
        await self._delete_objects(keys)
        async with self.pool.acquire() as connection, connection.transaction():
            await purge_store.remove_rows(connection, track_id, self.clock())
        _log.info("track purged", extra={"track_id": track_id, "objects": len(keys)})
        return True

    async def _start(self, track_id: str) -> bool:
        at = self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            audio = await purge_store.start_purge(connection, track_id, self._deleted_before(), at)
            if audio is None:
                return False
            event = TrackPurged(track_id=track_id, audio_sha256=audio.sha256, purged_at=at)
            await enqueue(connection, SCHEMA, TRACK_PURGED, event, source="catalogue")
            await write_audit_entry(connection, track_id, at=at, action="purge started")
        return True

    async def _delete_objects(self, keys: Sequence[str]) -> None:
        prefixes = {key.rpartition("/")[0] for key in keys if key.startswith(_WITH_MANIFEST)}
        for key in sorted(f"{prefix}/{_MANIFEST}" for prefix in prefixes):
            await self.objects.delete(key)
        await asyncio.gather(*(self.objects.delete(key) for key in keys))

    def _deleted_before(self) -> datetime:
        return self.clock() - self.purge_after
