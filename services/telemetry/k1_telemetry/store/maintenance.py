"""Makes partitions ahead of time, and drops old ones and old batches, at the start and at intervals."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn

from k1_platform.postgres.pool import DATABASE_ERRORS, Pool
from k1_telemetry.database import ROLLUPS
from k1_telemetry.store.batches import forget_batches
from k1_telemetry.store.partitions import drop_old_partitions, ensure_partitions, partition_start
from k1_telemetry.store.rollups.tables import forget_track_minutes

_INTERVAL_S: Final = 300.0
_RETRY_DELAY_S: Final = 1.0
_BEHIND: Final = timedelta(hours=1)
_AHEAD: Final = timedelta(hours=2)
_BATCH_AGE: Final = timedelta(hours=2)
"""Twice the age at which the stream drops messages."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreMaintenance:
    """Keeps the partitions of the last hour and the next two, and drops those older than `keep`."""

    pool: Pool
    keep: timedelta
    clock: Callable[[], datetime]

    async def run(self) -> NoReturn:
        """Run until cancelled; while the database does not respond, try again."""
        while True:
            try:
                await self.run_once()
            except DATABASE_ERRORS as error:
                _log.warning("partitions not maintained", extra={"reason": repr(error)})
                await asyncio.sleep(_RETRY_DELAY_S)
            else:
                await asyncio.sleep(_INTERVAL_S)

    async def run_once(self) -> None:
        """Make the missing partitions; drop old ones, old minutes of tracks and old batches."""
        now = self.clock()
        await ensure_partitions(self.pool, now - _BEHIND, now + _AHEAD)
        await forget_batches(self.pool, now - _BATCH_AGE)
        await forget_track_minutes(self.pool, partition_start(ROLLUPS[-1], now - self.keep))
        dropped = await drop_old_partitions(self.pool, now - self.keep)
        if dropped:
            _log.info("dropped old partitions", extra={"partitions": dropped})
