"""Brings devices back to their desired state, for example one that was offline during the rollback of its deployment.

A device is reconciled after its hello, or when a periodic query finds it. The device is locked meanwhile, so that no
deployment takes it, and the commands carry a separate fence.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NoReturn

from k1_contracts.ids import new_id
from k1_contracts.messages.deploy.device_link import DeviceHello
from k1_deploy.devices import device_store
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.errors import DeviceUnreachable
from k1_deploy.orchestration.steps.device_commands import DeviceCommands, Sender
from k1_deploy.orchestration.storage import deployment_store, device_locks, signal_store
from k1_deploy.saga.reply_checks import check_discarded
from k1_deploy.saga.signals import ReconciledSignal
from k1_platform.postgres.pool import DATABASE_ERRORS, Connection, Pool
from k1_platform.processes.tasks import cancel_tasks, is_set_within

CHECK_INTERVAL_S: Final = 5.0
LOCK_S: Final = 120.0
"""Longer than staging a bundle takes; the lock is released earlier when the device is reconciled."""
MAX_CONCURRENT: Final = 32
RETRY_AFTER_S: Final = 30.0
"""After a failure the device is not tried again for this time, or until its next hello."""
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Reconciler:
    """Finds and reconciles devices in the background."""

    pool: Pool
    commands: DeviceCommands
    clock: Callable[[], datetime]
    _retry_at: dict[str, float] = field(default_factory=dict[str, float])
    """Devices that could not be reconciled, with the time of the next try by the loop's clock."""
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, asyncio.Task[None]])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONCURRENT))

    def handle_hello(self, device_id: str) -> None:
        """Try a device again at once: it has just connected."""
        self._retry_at.pop(device_id, None)
        self._wake.set()

    async def run(self) -> NoReturn:
        """Reconcile devices until cancelled; wait while the database is unavailable."""
        try:
            while True:
                await self._start_due()
                await is_set_within(self._wake, CHECK_INTERVAL_S)
                self._wake.clear()
        finally:
            await cancel_tasks(self._tasks.values())

    async def _start_due(self) -> None:
        try:
            async with self.pool.acquire() as connection:
                diverged = await find_diverged(connection)
        except DATABASE_ERRORS as error:
            _log.warning("reconciler waits for the database", extra={"reason": repr(error)})
            return
        now = asyncio.get_running_loop().time()
        for device_id in diverged:
            if device_id not in self._tasks and self._retry_at.get(device_id, now) <= now:
                task = asyncio.create_task(self._run_for(device_id), name=f"reconcile {device_id}")
                self._tasks[device_id] = task
                task.add_done_callback(lambda _, id_=device_id: self._tasks.pop(id_, None))

    async def _run_for(self, device_id: str) -> None:
        try:
            async with self._slots:
                await self._lock_and_reconcile(device_id)
        except (DeviceUnreachable, *DATABASE_ERRORS) as error:
            self._postpone(device_id, str(error) or repr(error))
        except Exception as error:  # noqa: BLE001  one device must not stop the reconciliation of others
            _log.exception("reconciliation failed", extra={"device_id": device_id})
            self._postpone(device_id, repr(error))

    async def _lock_and_reconcile(self, device_id: str) -> None:
        async with self.pool.acquire() as connection:
            fence = await device_locks.lock_for_reconciler(connection, device_id, LOCK_S)
        if fence is None:
            return
        try:
            await self._reconcile(device_id, Sender(None, lambda: fence))
        finally:
            async with self.pool.acquire() as connection:
                await device_locks.unlock_from_reconciler(connection, device_id)

    async def _reconcile(self, device_id: str, sender: Sender) -> None:
        hello = await self.commands.info(device_id, sender)
        if hello is None:
            self._postpone(device_id, "it does not say what it holds")
            return
        device = await self._save(hello)
        if device is None:
            return
        detail = "it runs what it should"
        if device.differs:
            done = await self.commands.restore(device_id, device.expected, None, sender, _new_id)
            if done.problem:
                self._postpone(device_id, done.problem)
                return
            hello, detail = done.hello or hello, "it runs again what it should"
            await self._save(hello)
        await self._signal_deployments(device_id, detail)
        await self._discard_leftovers(hello, sender)

    async def _discard_leftovers(self, hello: DeviceHello, sender: Sender) -> None:
        """Discard staged bundles, unless a deployment of the device is still open."""
        async with self.pool.acquire() as connection:
            if await deployment_store.find_open_deployments(connection, hello.id):
                return
        for sha256 in filter(None, (*hello.staged, hello.fetching)):
            reply = await self.commands.discard(hello.id, sha256, new_id("evt"), sender)
            if reply.hello:
                await self._save(reply.hello)
            if problem := check_discarded(reply, sha256):
                self._postpone(hello.id, f"a bundle of no use is left on it: {problem}")

    async def _save(self, hello: DeviceHello) -> DeviceRow | None:
        async with self.pool.acquire() as connection, connection.transaction():
            return await device_store.save_hello(connection, hello, self.clock())

    async def _signal_deployments(self, device_id: str, detail: str) -> None:
        """Add a signal to each deployment that waits for this device."""
        async with self.pool.acquire() as connection, connection.transaction():
            for deployment_id in await deployment_store.find_pending_rollbacks(connection, device_id):
                signal = ReconciledSignal(device_id=device_id, detail=detail)
                await signal_store.add_signal(connection, deployment_id, signal)
        _log.info("reconciled", extra={"device_id": device_id, "detail": detail})

    def _postpone(self, device_id: str, reason: str) -> None:
        self._retry_at[device_id] = asyncio.get_running_loop().time() + RETRY_AFTER_S
        _log.warning("not reconciled yet", extra={"device_id": device_id, "reason": reason})


async def _new_id(_round: int) -> str:
    return new_id("evt")


async def find_diverged(connection: Connection, limit: int = 1000) -> list[str]:
    """Return unlocked devices that are not in their desired state.

    They run another bundle by their last hello, or a deployment waits for their rollback, or they hold or fetch bundles
    that no open deployment needs.
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
