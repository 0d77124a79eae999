"""One process at a time: a lease in the LEADERS bucket, written by compare-and-set."""

import asyncio
import logging
import time
from typing import Final

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from k1_platform.errors import TransientError

TTL_S: Final = 3.0
"""The bucket's: a lease that is not renewed is gone."""
_RENEW_EVERY_S: Final = 0.75
_LOOK_EVERY_S: Final = 0.25
_ANSWER_S: Final = 0.8
_MARGIN_S: Final = 0.5
"""We stop before the broker lets another begin."""
_ERRORS: Final = (NatsError, TimeoutError, OSError)
_log = logging.getLogger(__name__)


class LeaseLostError(TransientError):
    """Another process may be active: whoever sees this publishes nothing more."""


class Lease:
    """This process's claim to be the active one."""

    def __init__(self, bucket: KeyValue, key: str, holder: str) -> None:
        """`holder` is this process's name, unlike any other's."""
        self._bucket, self._key, self._holder = bucket, key, holder
        self._revision = 0
        self._until_s = 0.0
        self._asked_s = 0.0
        self.uninterrupted = False
        """Nobody else was active since this process last was."""

    @property
    def is_held(self) -> bool:
        """Whether the broker cannot have given it to another; told without asking."""
        return time.monotonic() < self._until_s

    def need(self) -> None:
        """Raises LeaseLostError unless the lease is held."""
        if not self.is_held:
            raise LeaseLostError("the lease was not renewed in time")

    async def acquire(self) -> None:
        """Wait until this process is the active one, however long."""
        while not await self._try_to_acquire():  # noqa: ASYNC110  another process changes it
            await asyncio.sleep(_LOOK_EVERY_S)

    async def keep(self) -> None:
        """Renew until the lease is lost.

        Raises:
            LeaseLostError: always, at the end.
        """
        while self.is_held:
            await asyncio.sleep(_RENEW_EVERY_S)
            await self._renew()
        raise LeaseLostError("the lease was not renewed in time")

    async def release(self) -> None:
        """Let the next begin at once; nothing happens when the lease is not held."""
        if not self.is_held:
            return
        self._until_s = 0.0
        try:
            await self._bucket.delete(self._key, last=self._revision)
        except _ERRORS as error:
            _log.warning("the lease was not given back; it runs out", extra={"reason": repr(error)})

    async def _try_to_acquire(self) -> bool:
        began = time.monotonic()
        try:
            if await self._holder_now() is not None:
                return False
            revision = await self._bucket.create(self._key, self._holder.encode())
        except _ERRORS:
            return False
        self.uninterrupted = revision == self._revision + 1
        self._took(revision, began)
        return True

    async def _renew(self) -> None:
        # An answer that was lost leaves open which of the requests since was the one that counted.
        self._asked_s = self._asked_s or time.monotonic()
        try:
            async with asyncio.timeout(_ANSWER_S):
                revision = await self._bucket.update(self._key, self._holder.encode(), last=self._revision)
        except _ERRORS as error:
            _log.warning("the lease was not renewed", extra={"reason": repr(error)})
            await self._look()
        else:
            self._took(revision, self._asked_s)

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(_ANSWER_S):
                entry = await self._holder_now()
        except _ERRORS:
            return
        if entry is None or entry[0] != self._holder:
            self._until_s = 0.0
        elif entry[1] != self._revision:
            self._took(entry[1], self._asked_s)

    async def _holder_now(self) -> tuple[str, int] | None:
        try:
            entry = await self._bucket.get(self._key)
        except KeyNotFoundError:
            return None
        return (entry.value or b"").decode(errors="replace"), entry.revision or 0

    def _took(self, revision: int, asked_s: float) -> None:
        self._revision = revision
        self._until_s = asked_s + TTL_S - _MARGIN_S
        self._asked_s = 0.0
