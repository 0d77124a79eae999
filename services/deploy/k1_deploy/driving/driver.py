"""Drives one deployment as long as its lease holds: starts what is due, stops what is not any more.

What is due says `saga.steps`; the driver only keeps as many pieces of work going, each a task, and writes what
the saga decides. It knows nothing that the log does not: whoever drives next goes on from there.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from opentelemetry.trace import Tracer

from k1_deploy.driving import locks
from k1_deploy.driving.activation import Activation
from k1_deploy.driving.device_steps import DeviceSteps
from k1_deploy.driving.journal import Journal, OvertakenError
from k1_deploy.driving.locks import Taken
from k1_deploy.driving.mailbox import WaitingSignal
from k1_deploy.saga.entries import Locked, LogEntry, TookOver
from k1_deploy.saga.signals import receive
from k1_deploy.saga.steps import (
    ActivateBatch,
    DeviceStep,
    Step,
    TakeLocks,
    WaitUntil,
    Write,
    is_parked,
    next_steps,
)
from k1_platform.postgres.pool import Pool
from k1_platform.processes.tasks import cancel_tasks, is_set_within

_POLL_S: Final = 1.0
"""How long it waits for others' devices before it asks again; it is told of most changes at once."""
_log = logging.getLogger(__name__)
Work = DeviceStep | ActivateBatch
_Key = tuple[str, str]


@dataclass(slots=True)
class Limits:
    """How much of one process's work on devices goes on at a time."""

    stage: asyncio.Semaphore
    other: asyncio.Semaphore

    def of(self, step: DeviceStep) -> asyncio.Semaphore:
        return self.stage if step.step == "stage" else self.other


@dataclass(slots=True, eq=False)
class Driver:
    """One deployment in this process."""

    pool: Pool
    journal: Journal
    device_steps: DeviceSteps
    activation: Activation
    limits: Limits
    tracer: Tracer
    clock: Callable[[], datetime]
    _works: dict[_Key, asyncio.Task[None]] = field(default_factory=dict[_Key, asyncio.Task[None]])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _signals: dict[int, WaitingSignal] = field(default_factory=dict[int, WaitingSignal])
    _taken: set[int] = field(default_factory=set[int])
    _error: BaseException | None = None

    @property
    def deployment_id(self) -> str:
        return self.journal.state.deployment_id

    def wake(self, signals: Sequence[WaitingSignal] = ()) -> None:
        """Something happened that may matter."""
        self._signals.update({each.id: each for each in signals if each.id not in self._taken})
        self._changed.set()

    async def run(self) -> datetime | None:
        """Drive until nobody needs to for a while; returns when somebody must look again, if no signal comes.

        Raises:
            LeaseLostError: another process has taken the deployment.
            Exception: whatever ended a step or a write; nothing is lost, the log says where it was.
        """
        writing = asyncio.create_task(self.journal.run(), name=f"journal {self.deployment_id}")
        driving = asyncio.create_task(self._drive(), name=f"driver {self.deployment_id}")
        try:
            await asyncio.wait({writing, driving}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                await writing
            return await driving
        finally:
            await cancel_tasks({writing, driving, *self._works.values()})

    async def _drive(self) -> datetime | None:
        lease = self.journal.lease
        if lease.taken_over:
            await self.journal.write(TookOver(at=self.clock(), owner=lease.owner, fence=lease.fence))
        while self._error is None:
            self._changed.clear()
            await self._take_signals()
            steps = next_steps(self.journal.state, self.clock())
            if await self._decide(steps):
                continue
            await self._reconcile([step for step in steps if isinstance(step, DeviceStep | ActivateBatch)])
            if not self._works and not self._signals and is_parked(self.journal.state, steps):
                return _wake_at(steps)
            await self._wait(steps)
        raise self._error

    async def _take_signals(self) -> None:
        while self._signals:
            signal = self._signals.pop(min(self._signals))
            self._taken.add(signal.id)
            entries: list[LogEntry] = receive(self.journal.state, signal.signal, self.clock())
            with suppress(OvertakenError):
                await self.journal.write(*entries, signal_ids=[signal.id])

    async def _decide(self, steps: Sequence[Step]) -> bool:
        """Write the saga's decisions; whether the state may have changed, so that other steps are due."""
        changed = False
        for step in steps:
            try:
                if isinstance(step, Write):
                    await self.journal.write(step.entry)
                    changed = True
                elif isinstance(step, TakeLocks):
                    changed = await self._take_locks(step) or changed
            except OvertakenError:
                _log.info("a decision was overtaken", extra={"deployment_id": self.deployment_id})
                changed = True
        return changed

    async def _take_locks(self, step: TakeLocks) -> bool:
        state, lease = self.journal.state, self.journal.lease
        if state.status == "queued":
            taken = await locks.take_first(self.pool, lease, step.device_ids)
        else:
            assert state.bundle is not None
            taken = await locks.take_again(self.pool, lease, step.device_ids, state.bundle.sha256)
        if not isinstance(taken, Taken):
            return False
        locked = Locked(at=self.clock(), device_ids=taken.device_ids, superseded=taken.superseded)
        await self.journal.write(locked)
        return True

    async def _reconcile(self, due: Sequence[Work]) -> None:
        """What is not due any more ends before anything else begins: it may be about the same device."""
        by_key = {_key(step): step for step in due}
        await cancel_tasks([self._works[key] for key in self._works.keys() - by_key.keys()])
        for key, step in by_key.items():
            if key not in self._works:
                task = asyncio.create_task(self._work(step), name=":".join(key))
                task.add_done_callback(lambda done, key=key: self._worked(key, done))
                self._works[key] = task

    def _worked(self, key: _Key, task: asyncio.Task[None]) -> None:
        self._works.pop(key, None)
        if not task.cancelled():
            self._error = self._error or task.exception()
        self._changed.set()

    async def _work(self, step: Work) -> None:
        with suppress(OvertakenError), self.tracer.start_as_current_span(_span(step)) as span:
            span.set_attribute("k1.deployment_id", self.deployment_id)
            if isinstance(step, ActivateBatch):
                await self.activation.take(step)
                return
            span.set_attribute("k1.device_id", step.device_id)
            async with self.limits.of(step):
                await self.device_steps.take(step)

    async def _wait(self, steps: Sequence[Step]) -> None:
        until = _wake_at(steps)
        seconds = (until - self.clock()).total_seconds() if until else None
        if any(isinstance(step, TakeLocks) for step in steps):
            seconds = _POLL_S
        await is_set_within(self._changed, seconds)


def _wake_at(steps: Sequence[Step]) -> datetime | None:
    return min((step.at for step in steps if isinstance(step, WaitUntil)), default=None)


def _key(step: Work) -> _Key:
    return ("activate", str(step.batch)) if isinstance(step, ActivateBatch) else (step.step, step.device_id)


def _span(step: Work) -> str:
    return "deploy activate batch" if isinstance(step, ActivateBatch) else f"deploy {step.step}"
