"""Holds the lease that makes one telemetry process the leader: an entry in LEADERS, written by compare-and-set."""

import asyncio
import logging
import time
from typing import Final

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from k1_platform.errors import TransientError

TTL_S: Final = 3.0
"""The time to live of the bucket's entries: a lease that is not renewed expires."""
_RENEW_INTERVAL_S: Final = 0.75
_ACQUIRE_INTERVAL_S: Final = 0.25
_RESPONSE_TIMEOUT_S: Final = 0.8
_SAFETY_MARGIN_S: Final = 0.5
"""The leader stops this long before the broker lets another process start."""
_ERRORS: Final = (NatsError, TimeoutError, OSError)
_log = logging.getLogger(__name__)


class LeadershipLostError(TransientError):
    """The lease is not held: another process may be the leader, so nothing more may be published."""


class LeaderLease:
    """Acquires, renews and releases the lease of the leader."""

    def __init__(self, bucket: KeyValue, key: str, holder: str) -> None:
        """Create a lease that is not held; `holder` must be unique to this process."""
        self._bucket, self._key, self._holder = bucket, key, holder
        self._revision = 0
        self._valid_until_s = 0.0
        self._requested_s = 0.0
        self.uninterrupted = False
        """No other process was the leader between this process's last lease and the current one."""

    @property
    def is_held(self) -> bool:
        """Return whether the lease is still valid; sends no request."""
        return time.monotonic() < self._valid_until_s

    def require(self) -> None:
        """Raise LeadershipLostError unless the lease is held."""
        if not self.is_held:
            raise LeadershipLostError("the lease was not renewed in time")

    async def acquire(self) -> None:
        """Wait without a limit until this process holds the lease."""
        while not await self._try_to_acquire():  # noqa: ASYNC110  another process changes it
            await asyncio.sleep(_ACQUIRE_INTERVAL_S)

    async def renew_until_lost(self) -> None:
        """Renew the lease until it is lost.

        Raises:
            LeadershipLostError: always, at the end.
        """
        while self.is_held:
            await asyncio.sleep(_RENEW_INTERVAL_S)
            await self._renew()
        raise LeadershipLostError("the lease was not renewed in time")

    async def release(self) -> None:
        """Delete the lease, so that a standby can take over at once; do nothing when it is not held."""
        if not self.is_held:
            return
        self._valid_until_s = 0.0
        try:
            await self._bucket.delete(self._key, last=self._revision)
        except _ERRORS as error:
            _log.warning("the lease was not released; it will expire", extra={"reason": repr(error)})

    async def _try_to_acquire(self) -> bool:
        requested_s = time.monotonic()
        try:
            if await self._read_holder() is not None:
                return False
            revision = await self._bucket.create(self._key, self._holder.encode())
        except _ERRORS:
            return False
        self.uninterrupted = revision == self._revision + 1
        self._record_renewal(revision, requested_s)
        return True

    async def _renew(self) -> None:
        # If a response was lost, any request since then may be the one that renewed the lease.
        self._requested_s = self._requested_s or time.monotonic()
        try:
            async with asyncio.timeout(_RESPONSE_TIMEOUT_S):
                revision = await self._bucket.update(self._key, self._holder.encode(), last=self._revision)
        except _ERRORS as error:
            _log.warning("the lease was not renewed", extra={"reason": repr(error)})
            await self._check_holder()
        else:
            self._record_renewal(revision, self._requested_s)

    async def _check_holder(self) -> None:
        try:
            async with asyncio.timeout(_RESPONSE_TIMEOUT_S):
                entry = await self._read_holder()
        except _ERRORS:
            return
        if entry is None or entry[0] != self._holder:
            self._valid_until_s = 0.0
        elif entry[1] != self._revision:
            self._record_renewal(entry[1], self._requested_s)

    async def _read_holder(self) -> tuple[str, int] | None:
        try:
            entry = await self._bucket.get(self._key)
        except KeyNotFoundError:
            return None
        return (entry.value or b"").decode(errors="replace"), entry.revision or 0

    def _record_renewal(self, revision: int, requested_s: float) -> None:
        self._revision = revision
        self._valid_until_s = requested_s + TTL_S - _SAFETY_MARGIN_S
        self._requested_s = 0.0
