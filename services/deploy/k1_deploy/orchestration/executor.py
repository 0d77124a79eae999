"""Drives one deployment as long as its lease holds: starts what is due, stops what is not any more.

What is due says `saga.steps`; the executor only keeps as many pieces of work going, each a task, and writes what
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

from k1_deploy.orchestration.activation import BatchActivation
from k1_deploy.orchestration.device_steps import DeviceSteps
from k1_deploy.orchestration.event_log import EventLog, WriteConflictError
from k1_deploy.orchestration.storage import device_locks
from k1_deploy.orchestration.storage.device_locks import LocksTaken
from k1_deploy.orchestration.storage.signal_store import StoredSignal
from k1_deploy.saga.entries import LeaseTakenOver, Locked, LogEntry
from k1_deploy.saga.signals import entries_for
from k1_deploy.saga.steps import (
    ActivateBatch,
    DeviceStep,
    LockDevices,
    Step,
    WaitUntil,
    WriteEntry,
    is_idle,
    next_steps,
)
from k1_platform.database import Pool
from k1_platform.tasks import end_tasks, is_set_within

_POLL_S: Final = 1.0
"""How long it waits for others' devices before it asks again; it is told of most changes at once."""
_log = logging.getLogger(__name__)
Work = DeviceStep | ActivateBatch
_Key = tuple[str, str]


@dataclass(slots=True)
class WorkLimits:
    """How much of one process's work on devices goes on at a time."""

    stage: asyncio.Semaphore
    other: asyncio.Semaphore

    def of(self, step: DeviceStep) -> asyncio.Semaphore:
        return self.stage if step.step == "stage" else self.other


@dataclass(slots=True, eq=False)
class DeploymentExecutor:
    """One deployment in this process."""

    pool: Pool
    event_log: EventLog
    device_steps: DeviceSteps
    activation: BatchActivation
    limits: WorkLimits
    tracer: Tracer
    clock: Callable[[], datetime]
    _tasks: dict[_Key, asyncio.Task[None]] = field(default_factory=dict[_Key, asyncio.Task[None]])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _signals: dict[int, StoredSignal] = field(default_factory=dict[int, StoredSignal])
    _received: set[int] = field(default_factory=set[int])
    _error: BaseException | None = None

    @property
    def deployment_id(self) -> str:
        return self.event_log.state.deployment_id

    def wake(self, signals: Sequence[StoredSignal] = ()) -> None:
        """Something happened that may matter."""
        self._signals.update({each.id: each for each in signals if each.id not in self._received})
        self._changed.set()

    async def run(self) -> datetime | None:
        """Drive until nobody needs to for a while; returns when somebody must look again, if no signal comes.

        Raises:
            LeaseLostError: another process has result the deployment.
            Exception: whatever ended a step or a write; nothing is lost, the log says where it was.
        """
        writing = asyncio.create_task(self.event_log.run(), name=f"event log {self.deployment_id}")
        executing = asyncio.create_task(self._execute(), name=f"executor {self.deployment_id}")
        try:
            await asyncio.wait({writing, executing}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                await writing
            return await executing
        finally:
            await end_tasks({writing, executing, *self._tasks.values()})

    async def _execute(self) -> datetime | None:
        lease = self.event_log.lease
        if lease.taken_over:
            await self.event_log.write(LeaseTakenOver(at=self.clock(), owner=lease.owner, fence=lease.fence))
        while self._error is None:
            self._changed.clear()
            await self._take_signals()
            steps = next_steps(self.event_log.state, self.clock())
            if await self._decide(steps):
                continue
            await self._start_and_stop(
                [step for step in steps if isinstance(step, DeviceStep | ActivateBatch)]
            )
            if not self._tasks and not self._signals and is_idle(self.event_log.state, steps):
                return _wake_at(steps)
            await self._wait(steps)
        raise self._error

    async def _take_signals(self) -> None:
        while self._signals:
            signal = self._signals.pop(min(self._signals))
            self._received.add(signal.id)
            entries: list[LogEntry] = entries_for(self.event_log.state, signal.signal, self.clock())
            with suppress(WriteConflictError):
                await self.event_log.write(*entries, signal_ids=[signal.id])

    async def _decide(self, steps: Sequence[Step]) -> bool:
        """Write the saga's decisions; whether the state may have changed, so that other steps are due."""
        changed = False
        for step in steps:
            try:
                if isinstance(step, WriteEntry):
                    await self.event_log.write(step.entry)
                    changed = True
                elif isinstance(step, LockDevices):
                    changed = await self._lock_devices(step) or changed
            except WriteConflictError:
                _log.info("a decision was overtaken", extra={"deployment_id": self.deployment_id})
                changed = True
        return changed

    async def _lock_devices(self, step: LockDevices) -> bool:
        state, lease = self.event_log.state, self.event_log.lease
        if state.status == "queued":
            result = await device_locks.lock_devices(self.pool, lease, step.device_ids)
        else:
            assert state.bundle is not None
            result = await device_locks.relock_devices(self.pool, lease, step.device_ids, state.bundle.sha256)
        if not isinstance(result, LocksTaken):
            return False
        locked = Locked(at=self.clock(), device_ids=result.device_ids, superseded=result.superseded)
        await self.event_log.write(locked)
        return True

    async def _start_and_stop(self, due: Sequence[Work]) -> None:
        """What is not due any more ends before anything else begins: it may be about the same device."""
        by_key = {_key(step): step for step in due}
        await end_tasks([self._tasks[key] for key in self._tasks.keys() - by_key.keys()])
        for key, step in by_key.items():
            if key not in self._tasks:
                task = asyncio.create_task(self._work(step), name=":".join(key))
                task.add_done_callback(lambda done, key=key: self._finished(key, done))
                self._tasks[key] = task

    def _finished(self, key: _Key, task: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled():
            self._error = self._error or task.exception()
        self._changed.set()

    async def _work(self, step: Work) -> None:
        with suppress(WriteConflictError), self.tracer.start_as_current_span(_span(step)) as span:
            span.set_attribute("k1.deployment_id", self.deployment_id)
            if isinstance(step, ActivateBatch):
                await self.activation.run(step)
                return
            span.set_attribute("k1.device_id", step.device_id)
            async with self.limits.of(step):
                await self.device_steps.run(step)

    async def _wait(self, steps: Sequence[Step]) -> None:
        until = _wake_at(steps)
        seconds = (until - self.clock()).total_seconds() if until else None
        if any(isinstance(step, LockDevices) for step in steps):
            seconds = _POLL_S
        await is_set_within(self._changed, seconds)


def _wake_at(steps: Sequence[Step]) -> datetime | None:
    return min((step.at for step in steps if isinstance(step, WaitUntil)), default=None)


def _key(step: Work) -> _Key:
    return ("activate", str(step.batch)) if isinstance(step, ActivateBatch) else (step.step, step.device_id)


def _span(step: Work) -> str:
    return "deploy activate batch" if isinstance(step, ActivateBatch) else f"deploy {step.step}"
