"""Decides what the executor of a deployment does now: what to write, which work to start and which to stop. Pure.

The executor carries an `ExecutionPlan` out, waits until something changes, and asks for the next one. The property test
of the saga runs the same plans over a model of the devices.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from k1_deploy.saga.state import State
from k1_deploy.saga.steps import (
    ActivateBatch,
    DeviceStep,
    LockDevices,
    MeasureQuality,
    WaitUntil,
    WriteEntry,
    is_idle,
    next_steps,
)

Decision = LockDevices | WriteEntry
Work = DeviceStep | ActivateBatch | MeasureQuality
WorkKey = tuple[str, str]
"""The step with its device or batch; the executor runs at most one piece of work for each key."""


@dataclass(frozen=True, slots=True)
class ExecutionPlan:
    """What to do now: first the decisions, then, if none of them changed the state, the work."""

    decisions: tuple[Decision, ...]
    work: Mapping[WorkKey, Work]
    """What is due or in progress; everything else is to be stopped."""
    wake_at: datetime | None
    """When to ask for the next plan, if nothing changes before."""
    is_idle: bool
    """Whether the lease can be released until `wake_at` or until a signal comes."""

    @property
    def waits_for_locks(self) -> bool:
        """Whether other deployments may hold devices of this one."""
        return any(isinstance(decision, LockDevices) for decision in self.decisions)

    def to_stop(self, running: Collection[WorkKey]) -> list[WorkKey]:
        """Return the work that is not due any more.

        It must have ended before anything is started: both may concern the same device.
        """
        return [key for key in running if key not in self.work]

    def to_start(self, running: Collection[WorkKey]) -> dict[WorkKey, Work]:
        """Return the work that is due and does not run yet."""
        return {key: work for key, work in self.work.items() if key not in running}


def plan_execution(state: State, now: datetime) -> ExecutionPlan:
    """Return what the executor of a deployment in this state does now."""
    steps = next_steps(state, now)
    work = [step for step in steps if isinstance(step, DeviceStep | ActivateBatch | MeasureQuality)]
    return ExecutionPlan(
        decisions=tuple(step for step in steps if isinstance(step, LockDevices | WriteEntry)),
        work={work_key(each): each for each in work},
        wake_at=min((step.at for step in steps if isinstance(step, WaitUntil)), default=None),
        is_idle=is_idle(state, steps),
    )


def work_key(work: Work) -> WorkKey:
    """Return what distinguishes a piece of work from the other work of its deployment."""
    match work:
        case ActivateBatch():
            return "activate", str(work.batch)
        case MeasureQuality():
            return "quality", str(work.batch)
        case DeviceStep():
            return work.step, work.device_id
