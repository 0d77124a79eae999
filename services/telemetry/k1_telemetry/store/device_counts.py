"""Adds what the leader counts of each device's readings to the table `device_counts`: gaps, duplicates, late ones."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Final, NoReturn

from k1_platform.postgres.pool import DATABASE_ERRORS, Pool

COUNTS: Final = ("received", "missing", "duplicate", "late", "restarted", "rejected", "clock_jumps")
"""The columns: `received` counts all valid readings, `missing` the sequence numbers that were skipped."""
_INTERVAL_S: Final = 2.0
_MAX_COUNT: Final = 1_000_000
"""A device may skip 2**63 numbers at once; the limit keeps the sum meaningful."""
_ADD: Final = f"""
    INSERT INTO telemetry.device_counts AS counts (device_id, {", ".join(COUNTS)}, updated_at)
    SELECT *, now() FROM unnest($1::text[], {", ".join(f"${number}::bigint[]" for number in range(2, 9))})
    ON CONFLICT (device_id) DO UPDATE
    SET {", ".join(f"{name} = counts.{name} + excluded.{name}" for name in COUNTS)}, updated_at = excluded.updated_at
"""  # noqa: S608
_log = logging.getLogger(__name__)


class DeviceCounts:
    """Collects counts and writes them at intervals; a killed process loses those of the last interval."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._unwritten: dict[str, Counter[str]] = {}

    def add(self, counted: Mapping[str, Counter[str]]) -> None:
        """Add what was counted since the last call, by device."""
        for device_id, counts in counted.items():
            self._unwritten.setdefault(device_id, Counter()).update(counts)

    async def run(self) -> NoReturn:
        """Write the counts until cancelled; what cannot be written is written later."""
        while True:
            try:
                await self.write()
            except DATABASE_ERRORS as error:
                _log.warning("counts of devices not written", extra={"reason": repr(error)})
            await asyncio.sleep(_INTERVAL_S)

    async def write(self) -> None:
        """Write the collected counts."""
        if not self._unwritten:
            return
        counted, self._unwritten = self._unwritten, {}
        devices = sorted(counted)
        columns = ([min(counted[device][name], _MAX_COUNT) for device in devices] for name in COUNTS)
        try:
            await self._pool.execute(_ADD, devices, *columns)
        except BaseException:
            self.add(counted)
            raise
