"""Executes one deployment as long as its lease is valid.

`saga.execution` decides what is due; the executor writes the decisions, runs each piece of work as a task, and cancels
work that is not due any more. It keeps no state beside the log, so another process can continue from the log.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from opentelemetry.trace import Tracer

from k1_deploy.orchestration.events.event_log import EventLog, WriteConflictError
from k1_deploy.orchestration.observability.trace_links import analysis_links
from k1_deploy.orchestration.steps.activation import BatchActivation
from k1_deploy.orchestration.steps.device_steps import DeviceSteps
from k1_deploy.orchestration.steps.quality_measurement import QualityMeasurement
from k1_deploy.orchestration.storage import device_locks
from k1_deploy.orchestration.storage.device_locks import LocksTaken
from k1_deploy.orchestration.storage.signal_store import StoredSignal
from k1_deploy.saga.entries import LeaseTakenOver, Locked, LogEntry
from k1_deploy.saga.execution import Decision, ExecutionPlan, Work, WorkKey, plan_execution
from k1_deploy.saga.signals import entries_for
from k1_deploy.saga.steps import ActivateBatch, DeviceStep, LockDevices, MeasureQuality
from k1_platform.postgres.pool import Pool
from k1_platform.processes.tasks import cancel_tasks, is_set_within

_POLL_S: Final = 1.0
"""How often the locks are requested again; most changes are notified at once."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class WorkLimits:
    """How much work on devices one process does at a time."""

    stage: asyncio.Semaphore
    other: asyncio.Semaphore

    def of(self, step: DeviceStep) -> asyncio.Semaphore:
        return self.stage if step.step == "stage" else self.other


@dataclass(slots=True, eq=False)
class DeploymentExecutor:
    """The executor of one deployment."""

    pool: Pool
    event_log: EventLog
    device_steps: DeviceSteps
    activation: BatchActivation
    quality: QualityMeasurement
    limits: WorkLimits
    tracer: Tracer
    clock: Callable[[], datetime]
    _tasks: dict[WorkKey, asyncio.Task[None]] = field(default_factory=dict[WorkKey, asyncio.Task[None]])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _signals: dict[int, StoredSignal] = field(default_factory=dict[int, StoredSignal])
    _received: set[int] = field(default_factory=set[int])
    _error: BaseException | None = None

    @property
    def deployment_id(self) -> str:
        return self.event_log.state.deployment_id

    def wake(self, signals: Sequence[StoredSignal] = ()) -> None:
        """Deliver signals, or cause the next plan."""
        self._signals.update({each.id: each for each in signals if each.id not in self._received})
        self._changed.set()

    async def run(self) -> datetime | None:
        """Execute until the lease can be released; return when the next step is due if no signal comes before.

        Raises:
            LeaseLostError: another process has taken the deployment.
            Exception: whatever ended a step or a write; nothing is lost, because the log holds the progress.
        """
        writing = asyncio.create_task(self.event_log.run(), name=f"event log {self.deployment_id}")
        executing = asyncio.create_task(self._execute(), name=f"executor {self.deployment_id}")
        try:
            await asyncio.wait({writing, executing}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                await writing
            return await executing
        finally:
            await cancel_tasks({writing, executing, *self._tasks.values()})

    async def _execute(self) -> datetime | None:
        lease = self.event_log.lease
        if lease.taken_over:
            await self.event_log.write(LeaseTakenOver(at=self.clock(), owner=lease.owner, fence=lease.fence))
        while self._error is None:
            self._changed.clear()
            await self._take_signals()
            plan = plan_execution(self.event_log.state, self.clock())
            if await self._decide(plan.decisions):
                continue
            await self._stop_and_start(plan)
            if not self._tasks and not self._signals and plan.is_idle:
                return plan.wake_at
            await self._wait(plan)
        raise self._error

    async def _take_signals(self) -> None:
        while self._signals:
            signal = self._signals.pop(min(self._signals))
            self._received.add(signal.id)
            entries: list[LogEntry] = entries_for(self.event_log.state, signal.signal, self.clock())
            with suppress(WriteConflictError):
                await self.event_log.write(*entries, signal_ids=[signal.id])

    async def _decide(self, decisions: Sequence[Decision]) -> bool:
        """Carry the decisions out; return whether the state may have changed, so that other work is due."""
        changed = False
        for decision in decisions:
            try:
                if isinstance(decision, LockDevices):
                    changed = await self._lock_devices(decision) or changed
                else:
                    await self.event_log.write(decision.entry)
                    changed = True
            except WriteConflictError:
                _log.info(
                    "decision dropped: other entries came first", extra={"deployment_id": self.deployment_id}
                )
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

    async def _stop_and_start(self, plan: ExecutionPlan) -> None:
        await cancel_tasks([self._tasks[key] for key in plan.to_stop(self._tasks)])
        for key, work in plan.to_start(self._tasks).items():
            task = asyncio.create_task(self._work(work), name=":".join(key))
            task.add_done_callback(lambda done, key=key: self._finished(key, done))
            self._tasks[key] = task

    def _finished(self, key: WorkKey, task: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled():
            self._error = self._error or task.exception()
        self._changed.set()

    async def _work(self, work: Work) -> None:
        links = analysis_links(self.event_log.row.bundle)
        with (
            suppress(WriteConflictError),
            self.tracer.start_as_current_span(_span(work), links=links) as span,
        ):
            span.set_attribute("k1.deployment_id", self.deployment_id)
            if isinstance(work, ActivateBatch):
                await self.activation.run(work)
                return
            if isinstance(work, MeasureQuality):
                await self.quality.run(work)
                return
            span.set_attribute("k1.device_id", work.device_id)
            async with self.limits.of(work):
                await self.device_steps.run(work)

    async def _wait(self, plan: ExecutionPlan) -> None:
        seconds = (plan.wake_at - self.clock()).total_seconds() if plan.wake_at else None
        if plan.waits_for_locks:
            seconds = _POLL_S
        await is_set_within(self._changed, seconds)


def _span(work: Work) -> str:
    match work:
        case ActivateBatch():
            return "deploy activate batch"
        case MeasureQuality():
            return "deploy measure quality"
        case DeviceStep():
            return f"deploy {work.step}"
