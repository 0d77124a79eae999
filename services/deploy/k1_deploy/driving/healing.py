"""Puts right what differs from what it should be: a device that was away when its deployment turned back.

Whoever notices first heals: at a device's hello, or when looking through the inventory now and then. A device
is held while that lasts, so no deployment takes it meanwhile, and commands carry a fence of their own.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NoReturn

from k1_contracts.ids import new_id
from k1_contracts.messages.device_link import DeviceHello
from k1_deploy.devices import device_store
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.driving import locks, mailbox
from k1_deploy.driving.commands import Commands, Sender
from k1_deploy.errors import DeviceUnreachable
from k1_deploy.saga.signals import HealedSignal
from k1_deploy.saga.verdicts import discarded
from k1_platform.database import DATABASE_ERRORS, Connection, Pool
from k1_platform.tasks import end_tasks, is_set_within

LOOK_S: Final = 5.0
HELD_S: Final = 120.0
"""Longer than a bundle takes to be sent again; it ends earlier when the device is right."""
AT_ONCE: Final = 32
AGAIN_AFTER_S: Final = 30.0
"""A device that could not be put right is left alone for so long, or until it says hello."""
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Healing:
    """Handed to the frame as background work."""

    pool: Pool
    commands: Commands
    clock: Callable[[], datetime]
    _try_at: dict[str, float] = field(default_factory=dict[str, float])
    """Devices that could not be put right, by the loop's clock."""
    _healing: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, asyncio.Task[None]])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def heard(self, device_id: str) -> None:
        """A device has said hello: if anything is to be put right, it is now."""
        self._try_at.pop(device_id, None)
        self._wake.set()

    async def run(self) -> NoReturn:
        """Until cancelled; a database that is away only delays."""
        try:
            while True:
                await self._look()
                await is_set_within(self._wake, LOOK_S)
                self._wake.clear()
        finally:
            await end_tasks(self._healing.values())

    async def _look(self) -> None:
        try:
            async with self.pool.acquire() as connection:
                ill = await _ill(connection)
        except DATABASE_ERRORS as error:
            _log.warning("healing waits for the database", extra={"reason": repr(error)})
            return
        now = asyncio.get_running_loop().time()
        for device_id in ill:
            if device_id not in self._healing and self._try_at.get(device_id, now) <= now:
                task = asyncio.create_task(self._heal(device_id), name=f"healing {device_id}")
                self._healing[device_id] = task
                task.add_done_callback(lambda _, id_=device_id: self._healing.pop(id_, None))

    async def _heal(self, device_id: str) -> None:
        try:
            async with self._turns:
                await self._hold_and_heal(device_id)
        except (DeviceUnreachable, *DATABASE_ERRORS) as error:
            self._not_healed(device_id, str(error) or repr(error))
        except Exception as error:  # noqa: BLE001  one sick device must not keep the others from being healed
            _log.exception("healing failed", extra={"device_id": device_id})
            self._not_healed(device_id, repr(error))

    async def _hold_and_heal(self, device_id: str) -> None:
        async with self.pool.acquire() as connection:
            fence = await locks.hold_for_healing(connection, device_id, HELD_S)
        if fence is None:
            return
        try:
            await self._put_right(device_id, Sender(None, lambda: fence))
        finally:
            async with self.pool.acquire() as connection:
                await locks.end_healing(connection, device_id)

    async def _put_right(self, device_id: str, sender: Sender) -> None:
        hello = await self.commands.info(device_id, sender)
        if hello is None:
            self._not_healed(device_id, "it does not say what it holds")
            return
        device = await self._save(hello)
        if device is None:
            return
        detail = "it runs what it should"
        if device.differs:
            done = await self.commands.restore(device_id, device.expected, None, sender, _new_id)
            if done.problem:
                self._not_healed(device_id, done.problem)
                return
            hello, detail = done.hello or hello, "it runs again what it should"
            await self._save(hello)
        await self._tell(device_id, detail)
        await self._discard_leftovers(hello, sender)

    async def _discard_leftovers(self, hello: DeviceHello, sender: Sender) -> None:
        """What is staged, or is on its way, is of use as long as a deployment or its guard lasts."""
        async with self.pool.acquire() as connection:
            if await mailbox.watching(connection, hello.id):
                return
        for sha256 in filter(None, (*hello.staged, hello.fetching)):
            reply = await self.commands.discard(hello.id, sha256, new_id("evt"), sender)
            if reply.hello:
                await self._save(reply.hello)
            if problem := discarded(reply, sha256):
                self._not_healed(hello.id, f"a bundle of no use is left on it: {problem}")

    async def _save(self, hello: DeviceHello) -> DeviceRow | None:
        async with self.pool.acquire() as connection, connection.transaction():
            return await device_store.save_hello(connection, hello, self.clock())

    async def _tell(self, device_id: str, detail: str) -> None:
        """The deployments that have waited for it."""
        async with self.pool.acquire() as connection, connection.transaction():
            for deployment_id in await mailbox.pending_of(connection, device_id):
                signal = HealedSignal(device_id=device_id, detail=detail)
                await mailbox.add_signal(connection, deployment_id, signal)
        _log.info("healed", extra={"device_id": device_id, "detail": detail})

    def _not_healed(self, device_id: str, reason: str) -> None:
        self._try_at[device_id] = asyncio.get_running_loop().time() + AGAIN_AFTER_S
        _log.warning("not healed yet", extra={"device_id": device_id, "reason": reason})


async def _new_id(_round: int) -> str:
    return new_id("evt")


async def _ill(connection: Connection, limit: int = 1000) -> list[str]:
    """Devices that nobody holds and that are not as they should be.

    They run something else, as far as is known, or a deployment waits for them, or they hold or fetch bundles of
    which nobody has any use.
    """
    rows = await connection.fetch(
        """
        SELECT v.id FROM deploy.devices AS v
        WHERE v.revoked_at IS NULL AND v.hello IS NOT NULL AND v.expected_known
          AND NOT EXISTS (
            SELECT FROM deploy.device_locks AS l
            WHERE l.device_id = v.id AND (l.until IS NULL OR l.until > now())
          )
          AND (
            v.hello -> 'active' ->> 'bundle_sha256' IS DISTINCT FROM v.expected_sha256
            OR EXISTS (
                SELECT FROM deploy.deployment_devices AS p
                WHERE p.device_id = v.id AND p.outcome = 'rollback_pending'
            )
            OR (jsonb_array_length(v.hello -> 'staged') > 0 OR v.hello ->> 'fetching' IS NOT NULL)
              AND NOT EXISTS (
                SELECT FROM deploy.deployment_devices AS dd
                JOIN deploy.deployments AS d ON d.id = dd.deployment_id
                WHERE dd.device_id = v.id AND NOT d.closed
            )
          )
        ORDER BY v.id LIMIT $1
        """,
        limit,
    )
    return [row["id"] for row in rows]
