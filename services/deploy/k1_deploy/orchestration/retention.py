"""Removes deployments that ended long ago, with their logs; the audit trail stays.

What a device may still be rolled back to stays too: the newest deployment of each device, however old it is.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn

from k1_deploy.orchestration.storage import deployment_store
from k1_platform.postgres.pool import DATABASE_ERRORS, Pool

_INTERVAL_S: Final = 3600.0
_BATCH: Final = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeploymentRetention:
    """Removes old deployments; `run` is background work. Several processes may do it at the same time."""

    pool: Pool
    keep: timedelta
    clock: Callable[[], datetime]
    is_paused: Callable[[], Awaitable[bool]]
    """Returns whether nothing may be removed, because a backup is being made."""

    async def run(self) -> NoReturn:
        """Remove old deployments every hour; while the database does not respond, try again later."""
        while True:
            try:
                if not await self.is_paused():
                    await self.remove_old()
            except DATABASE_ERRORS as error:
                _log.warning("removal of old deployments postponed", extra={"reason": repr(error)})
            await asyncio.sleep(_INTERVAL_S)

    async def remove_old(self) -> int:
        """Remove what is due, some at a time, and return how many deployments that were."""
        before, removed = self.clock() - self.keep, 0
        while True:
            async with self.pool.acquire() as connection:
                count = await deployment_store.remove_ended(connection, before, _BATCH)
            removed += count
            if count < _BATCH:
                break
        if removed:
            _log.info("old deployments removed", extra={"count": removed})
        return removed
