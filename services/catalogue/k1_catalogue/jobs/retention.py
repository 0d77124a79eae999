"""Removes jobs that ended long ago; their tracks, versions and histories stay.

The latest analyses stay too, however old they are: estimates are made from them.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn

from k1_catalogue.jobs import retention_store
from k1_catalogue.tracks import store as track_store
from k1_catalogue.tracks.audit_store import write_audit_entry
from k1_platform.postgres.pool import DATABASE_ERRORS, Pool

_INTERVAL_S: Final = 3600.0
_BATCH: Final = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobRetention:
    """Removes old jobs; `run` is background work of the service. Several processes may do it at the same time."""

    pool: Pool
    keep: timedelta
    clock: Callable[[], datetime]

    async def run(self) -> NoReturn:
        """Remove old jobs every hour; while the database does not respond, try again later."""
        while True:
            try:
                while await self.remove_batch() == _BATCH:
                    pass
            except DATABASE_ERRORS as error:
                _log.warning("removal of old jobs postponed", extra={"reason": repr(error)})
            await asyncio.sleep(_INTERVAL_S)

    async def remove_batch(self) -> int:
        """Remove the jobs that ended first, some at a time, and return how many were due."""
        before = self.clock() - self.keep
        async with self.pool.acquire() as connection:
            due = await retention_store.ended_jobs(connection, before, _BATCH)
        for job in due:
            async with self.pool.acquire() as connection, connection.transaction():
                await track_store.lock_track(connection, job.track_id)
                if await retention_store.remove_job(connection, job.id, before):
                    await write_audit_entry(
                        connection, job.track_id, at=self.clock(), action="job removed", detail=job.id
                    )
        return len(due)
