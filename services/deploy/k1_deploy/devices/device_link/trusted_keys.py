"""Updates the keys that devices trust: after a hello that lists other keys, and before a bundle with a new key."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.graphs import KeySet
from k1_contracts.messages.deploy.device_link import DeviceHello, Trust
from k1_deploy.devices.device_link.link import DeviceLink
from k1_deploy.errors import DeviceUnreachable
from k1_platform.nats.queries.rpc import QueryError

MAX_CONCURRENT_UPDATES: Final = 32
TIMEOUT_S: Final = 10.0
MAX_AGE_S: Final = 30.0
"""A thousand devices that reconnect together cause one query to the catalogue."""
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class TrustedKeyCache:
    """Caches the catalogue's list of valid keys."""

    fetch: Callable[[], Awaitable[KeySet]]
    """Queries the catalogue; raises QueryError."""
    clock: Callable[[], float] = time.monotonic
    """Monotonic, in s."""
    _cached: tuple[KeySet, float] | None = None
    """The list, with the time of its query."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self, wanted: str | None = None) -> KeySet:
        """Return the valid keys.

        `wanted`: the id of a key that may be newer than the cache: when the cached list lacks it, the list is fetched
        again unless that was done since this call began.

        Raises:
            QueryError: the catalogue does not respond.
        """
        called_at = self.clock()
        async with self._lock:
            if self._cached is None or self._is_old(*self._cached, called_at, wanted):
                fetched_at = self.clock()
                self._cached = await self.fetch(), fetched_at
            return self._cached[0]

    def _is_old(self, keys: KeySet, fetched_at: float, called_at: float, wanted: str | None) -> bool:
        known = wanted is None or wanted in {key.kid for key in keys.keys}
        return self.clock() - fetched_at > MAX_AGE_S if known else fetched_at < called_at


@dataclass(frozen=True, slots=True)
class TrustUpdater:
    """Sends the valid keys to devices. A failed update is tried again at the device's next hello."""

    link: DeviceLink
    keys: TrustedKeyCache
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONCURRENT_UPDATES))

    def handle_hello(self, hello: DeviceHello) -> None:
        """Start an update if the device trusts other keys than the valid ones."""
        task = asyncio.create_task(self._update(hello))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ensure_trusted(self, hello: DeviceHello, key_id: str) -> None:
        """Send the valid keys if the device does not trust the key that signed its next bundle."""
        if key_id not in hello.key_ids:
            await self._update(hello, key_id)

    async def _update(self, hello: DeviceHello, wanted: str | None = None) -> None:
        try:
            async with self._slots:
                keys = await self.keys.get(wanted)
                if keys.document and set(hello.key_ids) != {key.kid for key in keys.keys}:
                    await self._send(hello.id, keys.document, keys.signatures)
        except (QueryError, DeviceUnreachable) as error:
            _log.warning("trusted keys not sent", extra={"device_id": hello.id, "reason": str(error)})

    async def _send(self, device_id: str, document: str, signatures: dict[str, str]) -> None:
        # A new id each time: the device would answer a repeated one from its memory, although its keys changed.
        command = Trust(command_id=new_id("evt"), keys_document=document, signatures=signatures)
        reply = await self.link.call(device_id, "trust", command, timeout_s=TIMEOUT_S)
        if reply.status != "done":
            reason = f"{reply.code}: {reply.message}"
            _log.warning("trusted keys rejected", extra={"device_id": device_id, "reason": reason})
