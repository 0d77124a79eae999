"""Keeps the keys that devices trust up to date: told at a hello that shows others, and before a bundle of a new key."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from k1_contracts.ids import new_id
from k1_contracts.messages.device_link import DeviceHello, Trust
from k1_contracts.messages.graphs import KeySet
from k1_deploy.devices.link import DeviceLink
from k1_deploy.errors import DeviceUnreachable
from k1_platform.rpc import AnswerError

TOLD_AT_ONCE: Final = 32
TIMEOUT_S: Final = 10.0
KEYS_KEPT_S: Final = 30.0
"""A thousand devices that come back together are one question to the catalogue."""
_log = logging.getLogger(__name__)


class TrustedKeys:
    """The catalogue's answer to which keys are valid, kept for a while."""

    def __init__(
        self, ask: Callable[[], Awaitable[KeySet]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`ask`: the catalogue; raises AnswerError. `clock`: monotonic, in s."""
        self._ask = ask
        self._clock = clock
        self._kept: tuple[KeySet, float] | None = None
        self._asking = asyncio.Lock()

    async def get(self, wanted: str | None = None) -> KeySet:
        """The valid keys; raises AnswerError when the catalogue does not answer.

        `wanted`: the id of a key that may be newer than what was kept: where that does not hold it, it must have
        been asked for since this call.
        """
        called_at = self._clock()
        async with self._asking:
            if self._kept is None or self._is_old(*self._kept, called_at, wanted):
                asked_at = self._clock()
                self._kept = await self._ask(), asked_at
            return self._kept[0]

    def _is_old(self, keys: KeySet, asked_at: float, called_at: float, wanted: str | None) -> bool:
        known = wanted is None or wanted in {key.kid for key in keys.keys}
        return self._clock() - asked_at > KEYS_KEPT_S if known else asked_at < called_at


class TrustKeeper:
    """Tells devices of the valid keys. What fails is tried again at the device's next hello."""

    def __init__(self, link: DeviceLink, keys: TrustedKeys) -> None:
        self._link = link
        self._keys = keys
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(TOLD_AT_ONCE)

    def heard(self, hello: DeviceHello) -> None:
        """Take note of a hello, and tell the device if it trusts other keys than the valid ones."""
        task = asyncio.create_task(self._look(hello))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def prepare(self, hello: DeviceHello, key_id: str) -> None:
        """Before a bundle that this key has signed: tell the device, if it does not trust the key yet."""
        if key_id not in hello.key_ids:
            await self._look(hello, key_id)

    async def _look(self, hello: DeviceHello, wanted: str | None = None) -> None:
        try:
            async with self._turns:
                keys = await self._keys.get(wanted)
                if keys.document and set(hello.key_ids) != {key.kid for key in keys.keys}:
                    await self._tell(hello.id, keys.document, keys.signatures)
        except (AnswerError, DeviceUnreachable) as error:
            _log.warning("keys not told", extra={"device_id": hello.id, "reason": str(error)})

    async def _tell(self, device_id: str, document: str, signatures: dict[str, str]) -> None:
        # A new id each time: keys that come back after others must not be answered from the device's memory.
        command = Trust(command_id=new_id("evt"), keys_document=document, signatures=signatures)
        reply = await self._link.call(device_id, "trust", command, timeout_s=TIMEOUT_S)
        if reply.status != "done":
            reason = f"{reply.code}: {reply.message}"
            _log.warning("keys refused", extra={"device_id": device_id, "reason": reason})
