"""The steps that are due: a pure function of the state and the time.

`next_steps` returns everything that is due or in progress; the executor starts what is new and stops what is not in the
list any more. Nothing here acts, waits or reads a clock.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from k1_contracts.messages.deploy.deployments import ActivateAt, DeploymentStatus
from k1_deploy.saga.device import Device
from k1_deploy.saga.entries import Closed, DeviceStepName, StatusChanged
from k1_deploy.saga.state import FORWARD, LOCKING, State, StopReason

ARMED_BEFORE: Final = timedelta(seconds=5)
"""Devices are armed so long before a given clock time; their clocks are not measured earlier."""


@dataclass(frozen=True, slots=True)
class LockDevices:
    """Lock these devices for the deployment, all or none."""

    device_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceStep:
    """One step on one device; `under_way`: the log holds its intent already."""

    step: DeviceStepName
    device_id: str
    under_way: bool = False


@dataclass(frozen=True, slots=True)
class ActivateBatch:
    """Measure clocks, agree on a moment, arm all devices for it.

    `fresh` are to be armed, `armed` have an intent in the log already.
    """

    batch: int
    fresh: tuple[str, ...]
    armed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MeasureQuality:
    """Measure the drift of these devices of the first batch for the quality gate."""

    batch: int
    device_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WriteEntry:
    """A decision: only an entry in the log."""

    entry: StatusChanged | Closed


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing is due before then, unless a signal comes."""

    at: datetime


Step = LockDevices | DeviceStep | ActivateBatch | MeasureQuality | WriteEntry | WaitUntil


def next_steps(state: State, now: datetime) -> list[Step]:
    """Return what is due or in progress; empty when only a signal can change the deployment."""
    if state.status not in FORWARD:
        return _ENDED_OR_BACKWARD[state.status](state, now)
    stop = _reason_to_turn_back(state)
    if stop:
        status: DeploymentStatus = "rolling_back" if state.has_activated else "discarding"
        return [WriteEntry(StatusChanged(at=now, status=status, code=stop.code, reason=stop.reason))]
    due = _FORWARD[state.status](state, now)
    return [*(_running_only(due) if state.paused else due), *_compensations(state.failed)]


def is_idle(state: State, steps: Sequence[Step]) -> bool:
    """Return whether no process needs to hold the deployment until a step is due or a signal comes."""
    return state.status not in LOCKING and all(isinstance(step, WaitUntil) for step in steps)


def _running_only(steps: list[Step]) -> list[Step]:
    """Return what may continue during a pause: steps in progress, and looking at active devices."""
    return [
        step
        for step in steps
        if (isinstance(step, DeviceStep) and (step.under_way or step.step == "verify"))
        or (isinstance(step, ActivateBatch) and step.armed)
        or isinstance(step, MeasureQuality)
    ]


def _begin(state: State, now: datetime) -> list[Step]:
    free = tuple(device.id for device in state.devices.values() if not device.locked)
    return [LockDevices(free)] if free else [WriteEntry(StatusChanged(at=now, status="checking"))]


def _check(state: State, now: datetime) -> list[Step]:
    due: list[Step] = [
        DeviceStep("check", device.id, under_way=device.open is not None)
        for device in state.devices.values()
        if not device.checked and not device.failed
    ]
    return due or [WriteEntry(StatusChanged(at=now, status="staging"))]


def _stage(state: State, now: datetime) -> list[Step]:
    due: list[Step] = [
        DeviceStep("stage", device.id, under_way=device.open is not None)
        for device in state.devices.values()
        if device.outcome in {"pending", "staging"} and not device.failed
    ]
    return due or [WriteEntry(StatusChanged(at=now, status="activating"))]


def _activate(state: State, now: datetime) -> list[Step]:
    batch = [device for device in state.current_batch if not device.failed]
    fresh = tuple(device.id for device in batch if device.outcome == "staged")
    armed = tuple(device.id for device in batch if device.outcome == "activating")
    verify: list[Step] = [
        DeviceStep("verify", device.id, under_way=device.open is not None)
        for device in batch
        if device.outcome == "active" and not device.verified
    ]
    if not fresh and not armed and not verify:
        until = now + timedelta(seconds=state.strategy.observe_seconds)
        return [WriteEntry(StatusChanged(at=now, status="observing", until=until))]
    if isinstance(state.activation, ActivateAt) and not armed and fresh:
        begin = state.activation.at - ARMED_BEFORE
        if now < begin:
            return [WaitUntil(begin)]
    return [*([ActivateBatch(state.batch, fresh, armed)] if fresh or armed else []), *verify]


def _observe(state: State, now: datetime) -> list[Step]:
    measured = tuple(device.id for device in state.unmeasured)
    measure: list[Step] = [MeasureQuality(state.batch, measured)] if measured else []
    if state.until and now < state.until:
        return [*measure, WaitUntil(state.until)]
    if measure:
        return measure
    status: DeploymentStatus = "activating" if state.batch < state.last_batch else "committing"
    return [WriteEntry(StatusChanged(at=now, status=status))]


def _commit(state: State, now: datetime) -> list[Step]:
    return [] if _compensations(state.failed) else [WriteEntry(StatusChanged(at=now, status="succeeded"))]


def _guard(state: State, now: datetime) -> list[Step]:
    if state.stop:
        return [
            WriteEntry(
                StatusChanged(at=now, status="rolling_back", code=state.stop.code, reason=state.stop.reason)
            )
        ]
    undone = _locked_first([device for device in state.failed if device.next_undo])
    if state.closed or undone:
        return undone
    assert state.guard_until is not None
    over = now >= state.guard_until
    return [WriteEntry(Closed(at=now)) if over else WaitUntil(state.guard_until)]


def _discard(state: State, now: datetime) -> list[Step]:
    cancelled = state.stop is not None and state.stop.code == "cancelled"
    end = StatusChanged(at=now, status="cancelled" if cancelled else "failed")
    return _compensations(state.devices.values()) or [WriteEntry(end)]


def _roll_back(state: State, now: datetime) -> list[Step]:
    """Roll back the newest batch first; discard what was only staged at the end."""
    due = [device for device in state.devices.values() if device.next_undo]
    rollbacks = [device for device in due if device.next_undo == "rollback"]
    if rollbacks:
        newest = max(device.batch or 0 for device in rollbacks)
        return _locked_first(
            [d for d in due if _is_under_way(d) or (d.next_undo == "rollback" and (d.batch or 0) == newest)]
        )
    if due:
        return _locked_first(due)
    pending = any(device.outcome == "rollback_pending" for device in state.devices.values())
    return [WriteEntry(StatusChanged(at=now, status="rollback_pending" if pending else "rolled_back"))]


def _await_reconciler(state: State, now: datetime) -> list[Step]:
    if any(device.outcome == "rollback_pending" for device in state.devices.values()):
        return []
    return [WriteEntry(StatusChanged(at=now, status="rolled_back"))]


def _compensations(devices: Iterable[Device]) -> list[Step]:
    return [
        DeviceStep(device.next_undo, device.id, under_way=_is_under_way(device))
        for device in devices
        if device.next_undo
    ]


def _is_under_way(device: Device) -> bool:
    return device.open is not None and device.open.step == device.next_undo


def _locked_first(devices: list[Device]) -> list[Step]:
    """Lock the devices again before anything is undone, because a success has released them."""
    free = tuple(device.id for device in devices if not device.locked)
    return [LockDevices(free)] if free else _compensations(devices)


def _reason_to_turn_back(state: State) -> StopReason | None:
    if state.stop:
        return state.stop
    failed = state.failed
    if not failed:
        return None
    if len(failed) > state.allowed_failures:
        return StopReason("too_many_failures", _too_many(state, failed))
    if len(failed) == state.total:
        return StopReason("too_many_failures", f"every device failed; {_first(failed)}")
    batch = state.current_batch
    if batch and all(device.failed for device in batch):
        return StopReason("batch_failed", f"batch {state.batch} failed as a whole; {_first(failed)}")
    return None


def _too_many(state: State, failed: list[Device]) -> str:
    may = f"{state.allowed_failures} may" if state.allowed_failures else "none may"
    return f"{len(failed)} of {state.total} devices failed and {may}; {_first(failed)}"


def _first(failed: list[Device]) -> str:
    return f"{failed[0].id}: {failed[0].reason}"


def _no_steps(_state: State, _now: datetime) -> list[Step]:
    return []


_Due = Callable[[State, datetime], list[Step]]
_FORWARD: Final[dict[DeploymentStatus, _Due]] = {
    "queued": _begin,
    "checking": _check,
    "staging": _stage,
    "activating": _activate,
    "observing": _observe,
    "committing": _commit,
}
_ENDED_OR_BACKWARD: Final[dict[DeploymentStatus, _Due]] = {
    "discarding": _discard,
    "rolling_back": _roll_back,
    "rollback_pending": _await_reconciler,
    "succeeded": _guard,
    "failed": _no_steps,
    "cancelled": _no_steps,
    "rolled_back": _no_steps,
}
