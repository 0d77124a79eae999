"""Answers how much is stored, cleans up on request and once a day, and warns before the store is full."""

import asyncio
import logging
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Literal, NoReturn

from prometheus_client import CollectorRegistry, Gauge

from k1_catalogue import errors
from k1_catalogue.storage import alert_store, store
from k1_catalogue.storage.cleanup import Cleaner, Measurement
from k1_contracts.messages.catalogue.storage import (
    CleanUpStorage,
    GetStorageUsage,
    StorageAlert,
    StorageAlertChanged,
    StorageCleanup,
    StorageUsage,
    TypeUsage,
)
from k1_platform.errors import TransientError
from k1_platform.nats.actors import current_actor
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import DATABASE_ERRORS, Connection, Pool, session_lock

ALERT_RATIO: Final = 0.8
"""From this part of the store on the alert is raised."""
CLEAR_RATIO: Final = 0.75
"""Below it the alert is cleared: a store that stays near the limit raises it once."""
_LOCK: Final = "catalogue.cleanup"
_ROUND_S: Final = 3600.0
_CLEANUP_INTERVAL: Final = timedelta(days=1)
_FRESH: Final = timedelta(seconds=10)
"""A measurement goes through the whole store, so that repeated requests within this time share one."""
_ALERT_TEXT: Final = (
    "{:.0%} of the store is used. Run `k1 storage cleanup`, delete tracks, or give the store more room."
)
_log = logging.getLogger(__name__)


class StorageGauges:
    """The gauges of the store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._bytes = Gauge("k1_storage_used_bytes", "Bytes in the object store", registry=registry)
        self._by_type = Gauge(
            "k1_storage_bytes", "Bytes in the object store by type of object", ["type"], registry=registry
        )
        self._ratio = Gauge(
            "k1_storage_used_ratio",
            "Share of the quota or disk that the object store uses",
            registry=registry,
        )

    def set(self, by_type: Counter[str], ratio: float | None) -> None:
        """Show a measurement."""
        self._bytes.set(by_type.total())
        for kind, size in by_type.items():
            self._by_type.labels(kind).set(size)
        if ratio is not None:
            self._ratio.set(ratio)


@dataclass
class StorageQueries:
    """Answers from the store and the tables. One process at a time cleans up."""

    pool: Pool
    cleaner: Cleaner
    clock: Callable[[], datetime]
    gauges: StorageGauges
    quota_bytes: int | None
    disk: Path | None
    """A folder on the disk of the store, where that disk is the limit."""
    is_paused: Callable[[], Awaitable[bool]]
    """Returns whether nothing may be removed, because a backup is being made."""
    _latest: StorageUsage | None = None
    _measuring: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get_usage(self, _: GetStorageUsage) -> StorageUsage:
        """Return how much is stored, at most ten seconds old."""
        async with self._measuring:
            if self._latest is None or self.clock() - self._latest.measured_at > _FRESH:
                self._latest = await self._measure()
            return self._latest

    async def clean_up(self, query: CleanUpStorage) -> StorageCleanup:
        """Remove what nothing refers to, or only say what that is.

        Raises:
            QueryError: `cleanup_running`, another cleanup runs at the moment; `maintenance`, a backup is being made.
        """
        if query.dry_run:
            return await self.cleaner.clean(dry_run=True)
        if await self.is_paused():
            raise errors.maintenance()
        async with session_lock(self.pool, _LOCK) as held:
            if not held:
                raise errors.cleanup_running()
            actor = current_actor()
            done = await self.cleaner.clean(dry_run=False)
            async with self.pool.acquire() as connection:
                name = actor.name if actor else "service:catalogue"
                await store.record_cleanup(connection, done, name, self.clock())
        self._latest = None
        _log.info("cleaned up", extra={"objects": done.objects, "bytes": done.bytes})
        return done

    async def run(self) -> NoReturn:
        """Measure at the start and every hour, and clean up every day, until cancelled; one process cleans up."""
        work: Callable[[], Awaitable[object]] = partial(self.get_usage, GetStorageUsage())
        while True:
            try:
                await work()
            except (*DATABASE_ERRORS, TransientError, QueryError) as error:
                _log.warning("the store was not measured or cleaned up", extra={"reason": repr(error)})
            work = self._round
            await asyncio.sleep(_ROUND_S)

    async def _round(self) -> None:
        async with self.pool.acquire() as connection:
            last = await store.last_cleanup(connection)
        if last is None or self.clock() - last >= _CLEANUP_INTERVAL:
            await self.clean_up(CleanUpStorage(dry_run=False))
        await self.get_usage(GetStorageUsage())

    async def _measure(self) -> StorageUsage:
        found = await self.cleaner.measure()
        async with self.pool.acquire() as connection:
            largest = await store.largest_artefacts(connection)
        used = found.bytes.total()
        total = self._total(used)
        ratio = used / total if total else None
        self.gauges.set(found.bytes, ratio)
        return StorageUsage(
            total_bytes=total,
            used_bytes=used,
            used_ratio=ratio,
            objects=found.objects.total(),
            by_type=_by_type(found),
            top_artefacts=largest,
            reclaimable_bytes=sum(found.reclaimable),
            reclaimable_objects=len(found.reclaimable),
            alert=await self._alert(used, total),
            measured_at=self.clock(),
        )

    def _total(self, used: int) -> int | None:
        if self.quota_bytes is not None:
            return self.quota_bytes
        return used + shutil.disk_usage(self.disk).free if self.disk is not None else None

    async def _alert(self, used: int, total: int | None) -> StorageAlert | None:
        """Raise or clear the alert where a limit was crossed; return it while it is raised."""
        ratio = used / total if total else 0.0
        message = _ALERT_TEXT.format(ratio) if total else "The store has no limit any more."
        at = self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            if change := await _cross(connection, ratio, at):
                state, since = change
                event = StorageAlertChanged(
                    code="storage_nearly_full", message=message, since=since,
                    state=state, used_bytes=used, total_bytes=total, at=at,
                )  # fmt: skip
                await alert_store.announce(connection, event)
                _log.warning("storage alert", extra={"state": state, "used_ratio": round(ratio, 3)})
            raised_since = await alert_store.alert_since(connection)
        if raised_since is None:
            return None
        return StorageAlert(code="storage_nearly_full", message=message, since=raised_since)


async def _cross(
    connection: Connection, ratio: float, at: datetime
) -> tuple[Literal["raised", "cleared"], datetime] | None:
    """Return the new state of the alert and since when it was raised; None if no limit was crossed."""
    if ratio >= ALERT_RATIO and (since := await alert_store.raise_alert(connection, at)):
        return "raised", since
    if ratio < CLEAR_RATIO and (since := await alert_store.clear_alert(connection)):
        return "cleared", since
    return None


def _by_type(found: Measurement) -> list[TypeUsage]:
    return [
        TypeUsage(type=kind, objects=found.objects[kind], bytes=size)
        for kind, size in found.bytes.most_common()
    ]
