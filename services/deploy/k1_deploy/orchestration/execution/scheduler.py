"""Picks the deployments that this process executes, renews their leases and releases them.

The deployments are shared among the processes. A process that is stopped releases its deployments at once; the leases
of one that dies expire, and one that cannot renew a lease stops before the lease expires.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NoReturn

from opentelemetry import context, propagate
from pydantic import ValidationError

from k1_deploy.errors import LeaseLostError
from k1_deploy.orchestration.execution.executor import DeploymentExecutor
from k1_deploy.orchestration.execution.executor_factory import ExecutorFactory
from k1_deploy.orchestration.storage import leases, signal_store
from k1_deploy.orchestration.storage.leases import CHANNEL, DeploymentLease
from k1_platform.postgres.pool import DATABASE_ERRORS, Connection, Pool
from k1_platform.processes.tasks import cancel_tasks, is_set_within

RENEWALS_PER_LEASE: Final = 5
"""How often a lease is renewed during its duration."""
POLL_S: Final = 1.0
LEASE_CHECK_S: Final = 0.2
MAX_DEPLOYMENTS: Final = 64
"""The number of deployments that one process executes at a time."""
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _RunningDeployment:
    """A deployment of this process; without an executor while its log is read."""

    lease: DeploymentLease
    task: asyncio.Task[None]
    executor: DeploymentExecutor | None = None


@dataclass(slots=True, eq=False)
class DeploymentScheduler:
    """Executes deployments in the background."""

    pool: Pool
    factory: ExecutorFactory
    clock: Callable[[], datetime]
    lease_s: float
    owner: str = field(default_factory=lambda: f"deploy-{uuid.uuid4().hex[:12]}")
    _running: dict[str, _RunningDeployment] = field(default_factory=dict[str, _RunningDeployment])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> NoReturn:
        """Execute deployments until cancelled, then release them; wait while the database is unavailable."""
        try:
            await asyncio.gather(
                self._retry_forever(self._listen),
                self._retry_forever(self._renew),
                self._cancel_expired(),
            )
        finally:
            await self._release_all()
        raise AssertionError("unreachable")

    def percents(self, deployment_id: str) -> Mapping[str, float]:
        """Return the progress of the transfers of a deployment that this process executes, in percent by device."""
        running = self._running.get(deployment_id)
        return running.executor.device_steps.percents if running and running.executor else {}

    async def _retry_forever(self, work: Callable[[], Awaitable[None]]) -> NoReturn:
        while True:
            try:
                await work()
            except DATABASE_ERRORS as error:
                _log.warning("deployments wait for the database", extra={"reason": repr(error)})
                await asyncio.sleep(POLL_S)

    async def _listen(self) -> None:
        async with self.pool.acquire() as connection:
            await connection.add_listener(CHANNEL, self._notified)
            try:
                while True:
                    await self._claim_deployments(connection)
                    await is_set_within(self._wake, POLL_S)
                    self._wake.clear()
            finally:
                if not connection.is_closed():
                    await connection.remove_listener(CHANNEL, self._notified)

    def _notified(self, *_: object) -> None:
        self._wake.set()

    async def _claim_deployments(self, connection: Connection) -> None:
        """Claim deployments, and deliver signals to those that run here."""
        room = MAX_DEPLOYMENTS - len(self._running)
        for lease in await leases.claim(connection, self.owner, room, self.lease_s):
            task = asyncio.create_task(self._run_deployment(lease), name=f"deployment {lease.deployment_id}")
            self._running[lease.deployment_id] = _RunningDeployment(lease, task)
        try:
            signals = await signal_store.list_signals(connection, list(self._running))
        except ValidationError as error:
            _log.error("signal of an unknown kind", extra={"reason": str(error)})
            return
        for deployment_id, running in self._running.items():
            if running.executor:
                running.executor.wake(signals.get(deployment_id, []))

    async def _renew(self) -> None:
        """Renew the leases on a separate connection, which does not wait behind the writes of logs."""
        async with self.pool.acquire() as connection:
            while True:
                await asyncio.sleep(self.lease_s / RENEWALS_PER_LEASE)
                await leases.renew(connection, [running.lease for running in self._running.values()])

    async def _cancel_expired(self) -> NoReturn:
        """Cancel deployments whose lease has expired, whatever state the database is in."""
        while True:
            await asyncio.sleep(LEASE_CHECK_S)
            for running in list(self._running.values()):
                if not running.lease.is_valid:
                    running.task.cancel()

    async def _run_deployment(self, lease: DeploymentLease) -> None:
        try:
            wake_at = await self._run_executor(lease)
        except LeaseLostError as error:
            _log.warning("deployment taken by another process", extra={"reason": str(error)})
        except DATABASE_ERRORS as error:
            _log.warning("deployment paused until its lease expires", extra={"reason": repr(error)})
        except Exception:  # noqa: BLE001  the others continue; this one is tried again when its lease expires
            _log.exception("deployment cannot be executed now", extra={"deployment_id": lease.deployment_id})
        else:
            await self._release(lease, wake_at)
        finally:
            self._forget(lease)

    async def _run_executor(self, lease: DeploymentLease) -> datetime | None:
        executor = await self.factory.create(lease)
        context.attach(propagate.extract({"traceparent": executor.event_log.row.traceparent or ""}))
        running = self._running.get(lease.deployment_id)
        if running is None or running.lease is not lease:
            raise LeaseLostError(f"{lease.deployment_id} was claimed again meanwhile")
        running.executor = executor
        self._wake.set()  # a signal may have come since the log was read
        _log.info("executing", extra={"deployment_id": lease.deployment_id, "fence": lease.fence})
        return await executor.run()

    def _forget(self, lease: DeploymentLease) -> None:
        """Remove the deployment, unless this process has claimed it again already."""
        running = self._running.get(lease.deployment_id)
        if running and running.lease is lease:
            del self._running[lease.deployment_id]

    async def _release(self, lease: DeploymentLease, wake_at: datetime | None) -> None:
        with suppress(*DATABASE_ERRORS):
            async with self.pool.acquire() as connection:
                await leases.release(connection, lease, wake_at)

    async def _release_all(self) -> None:
        running = list(self._running.values())
        await cancel_tasks(each.task for each in running)
        for each in running:
            await self._release(each.lease, self.clock())
