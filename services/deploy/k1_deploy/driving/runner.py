"""The process's part in all deployments: takes those that nobody drives, keeps their leases, gives them back.

Of several processes each drives some. A process that is told to stop hands its deployments over at once; one
that dies loses them when their leases end, and one that cannot renew a lease stops before that.
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

from k1_deploy.driving import leases, mailbox
from k1_deploy.driving.driver import Driver
from k1_deploy.driving.leases import CHANNEL, Lease
from k1_deploy.driving.opening import Opening
from k1_deploy.errors import LeaseLostError
from k1_platform.postgres.pool import DATABASE_ERRORS, Connection, Pool
from k1_platform.processes.tasks import cancel_tasks, is_set_within

RENEWALS: Final = 5
"""In the time that a lease lasts."""
POLL_S: Final = 1.0
WATCH_S: Final = 0.2
AT_ONCE: Final = 64
"""Deployments that one process drives."""
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Driven:
    """A deployment in this process; no driver yet while its log is read."""

    lease: Lease
    task: asyncio.Task[None]
    driver: Driver | None = None


@dataclass(slots=True, eq=False)
class Runner:
    """Drives deployments; handed to the frame as background work."""

    pool: Pool
    opening: Opening
    clock: Callable[[], datetime]
    lease_s: float
    owner: str = field(default_factory=lambda: f"deploy-{uuid.uuid4().hex[:12]}")
    _driven: dict[str, _Driven] = field(default_factory=dict[str, _Driven])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> NoReturn:
        """Until cancelled, then hand everything over; a database that is away only delays."""
        try:
            await asyncio.gather(
                self._again_and_again(self._listen),
                self._again_and_again(self._renew),
                self._watch(),
            )
        finally:
            await self._hand_over()
        raise AssertionError("unreachable")

    def percents(self, deployment_id: str) -> Mapping[str, float]:
        """How far transfers are, of a deployment that this process drives."""
        driven = self._driven.get(deployment_id)
        return driven.driver.device_steps.percents if driven and driven.driver else {}

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> NoReturn:
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
                    await self._take(connection)
                    await is_set_within(self._wake, POLL_S)
                    self._wake.clear()
            finally:
                if not connection.is_closed():
                    await connection.remove_listener(CHANNEL, self._notified)

    def _notified(self, *_: object) -> None:
        self._wake.set()

    async def _take(self, connection: Connection) -> None:
        """New deployments, and signals for those that are driven here."""
        room = AT_ONCE - len(self._driven)
        for lease in await leases.claim(connection, self.owner, room, self.lease_s):
            task = asyncio.create_task(self._drive(lease), name=f"deployment {lease.deployment_id}")
            self._driven[lease.deployment_id] = _Driven(lease, task)
        try:
            signals = await mailbox.waiting_signals(connection, list(self._driven))
        except ValidationError as error:
            _log.error("a signal that this release does not know", extra={"reason": str(error)})
            return
        for deployment_id, driven in self._driven.items():
            if driven.driver:
                driven.driver.wake(signals.get(deployment_id, []))

    async def _renew(self) -> None:
        """On a connection of its own: it must not wait behind those who write logs."""
        async with self.pool.acquire() as connection:
            while True:
                await asyncio.sleep(self.lease_s / RENEWALS)
                await leases.renew(connection, [driven.lease for driven in self._driven.values()])

    async def _watch(self) -> NoReturn:
        """Whatever the database does: without a lease nothing goes on."""
        while True:
            await asyncio.sleep(WATCH_S)
            for driven in list(self._driven.values()):
                if not driven.lease.is_valid:
                    driven.task.cancel()

    async def _drive(self, lease: Lease) -> None:
        try:
            wake_at = await self._run_driver(lease)
        except LeaseLostError as error:
            _log.warning("deployment driven by another process", extra={"reason": str(error)})
        except DATABASE_ERRORS as error:
            _log.warning("deployment left until its lease ends", extra={"reason": repr(error)})
        except Exception:  # noqa: BLE001  the others go on; this one is tried again when its lease ends
            _log.exception("deployment cannot be driven now", extra={"deployment_id": lease.deployment_id})
        else:
            await self._release(lease, wake_at)
        finally:
            self._forget(lease)

    async def _run_driver(self, lease: Lease) -> datetime | None:
        driver = await self.opening.open(lease)
        context.attach(propagate.extract({"traceparent": driver.journal.row.traceparent or ""}))
        driven = self._driven.get(lease.deployment_id)
        if driven is None or driven.lease is not lease:
            raise LeaseLostError(f"{lease.deployment_id} was taken anew meanwhile")
        driven.driver = driver
        self._wake.set()  # a signal may have come since the log was read
        _log.info("driving", extra={"deployment_id": lease.deployment_id, "fence": lease.fence})
        return await driver.run()

    def _forget(self, lease: Lease) -> None:
        """Once it is given back, this process may have taken it again already."""
        driven = self._driven.get(lease.deployment_id)
        if driven and driven.lease is lease:
            del self._driven[lease.deployment_id]

    async def _release(self, lease: Lease, wake_at: datetime | None) -> None:
        with suppress(*DATABASE_ERRORS):
            async with self.pool.acquire() as connection:
                await leases.release(connection, lease, wake_at)

    async def _hand_over(self) -> None:
        driven = list(self._driven.values())
        await cancel_tasks(each.task for each in driven)
        for each in driven:
            await self._release(each.lease, self.clock())
