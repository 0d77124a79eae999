"""What is due: a pure function of the state and the time.

`next_steps` names all that is due or under way; whoever drives the saga starts what it has not started,
and stops what is not named any more. Nothing here acts, waits or reads a clock.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from k1_contracts.messages.deployments import ActivateAt, DeploymentStatus
from k1_deploy.saga.device import Device
from k1_deploy.saga.entries import Became, Closed, DeviceStepName
from k1_deploy.saga.state import FORWARD, LIVE, State, Stop

ARMED_BEFORE: Final = timedelta(seconds=5)
"""How long before a given clock time the devices are armed: their clocks are measured as late as that."""


@dataclass(frozen=True, slots=True)
class TakeLocks:
    """Make these devices this deployment's alone, all or none."""

    device_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceStep:
    """One step on one device; `under_way` when the log holds its intent already."""

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
class Write:
    """A decision: nothing but an entry in the log."""

    entry: Became | Closed


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing to do before then, unless something happens."""

    at: datetime


Step = TakeLocks | DeviceStep | ActivateBatch | Write | WaitUntil


def next_steps(state: State, now: datetime) -> list[Step]:
    """What is due or under way; empty when only news from outside can move the deployment on."""
    if state.status not in FORWARD:
        return _AFTERWARDS[state.status](state, now)
    stop = _reason_to_turn_back(state)
    if stop:
        status: DeploymentStatus = "rolling_back" if state.stage_is_touched else "discarding"
        return [Write(Became(at=now, status=status, code=stop.code, reason=stop.reason))]
    due = _FORWARD[state.status](state, now)
    return [*(_running_only(due) if state.paused else due), *_take_back(state.failed)]


def is_parked(state: State, steps: Sequence[Step]) -> bool:
    """Whether nobody needs to hold the deployment until its time comes or something happens."""
    return state.status not in LIVE and all(isinstance(step, WaitUntil) for step in steps)


def _running_only(steps: list[Step]) -> list[Step]:
    """While paused: what is under way and the verification of what was activated; nothing new."""
    return [
        step
        for step in steps
        if (isinstance(step, DeviceStep) and (step.under_way or step.step == "verify"))
        or (isinstance(step, ActivateBatch) and step.armed)
    ]


def _begin(state: State, now: datetime) -> list[Step]:
    free = tuple(device.id for device in state.devices.values() if not device.locked)
    return [TakeLocks(free)] if free else [Write(Became(at=now, status="checking"))]


def _check(state: State, now: datetime) -> list[Step]:
    due: list[Step] = [
        DeviceStep("check", device.id, under_way=device.open is not None)
        for device in state.devices.values()
        if not device.checked and not device.failed
    ]
    return due or [Write(Became(at=now, status="staging"))]


def _stage(state: State, now: datetime) -> list[Step]:
    due: list[Step] = [
        DeviceStep("stage", device.id, under_way=device.open is not None)
        for device in state.devices.values()
        if device.outcome in {"pending", "staging"} and not device.failed
    ]
    return due or [Write(Became(at=now, status="activating"))]


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
        return [Write(Became(at=now, status="observing", until=until))]
    if isinstance(state.activation, ActivateAt) and not armed and fresh:
        begin = state.activation.at - ARMED_BEFORE
        if now < begin:
            return [WaitUntil(begin)]
    return [*([ActivateBatch(state.batch, fresh, armed)] if fresh or armed else []), *verify]


def _observe(state: State, now: datetime) -> list[Step]:
    if state.until and now < state.until:
        return [WaitUntil(state.until)]
    status: DeploymentStatus = "activating" if state.batch < state.last_batch else "committing"
    return [Write(Became(at=now, status=status))]


def _commit(state: State, now: datetime) -> list[Step]:
    return [] if _take_back(state.failed) else [Write(Became(at=now, status="succeeded"))]


def _guard(state: State, now: datetime) -> list[Step]:
    if state.stop:
        return [Write(Became(at=now, status="rolling_back", code=state.stop.code, reason=state.stop.reason))]
    undone = _locked_first([device for device in state.failed if device.next_undo])
    if state.closed or undone:
        return undone
    assert state.guard_until is not None
    over = now >= state.guard_until
    return [Write(Closed(at=now)) if over else WaitUntil(state.guard_until)]


def _discard(state: State, now: datetime) -> list[Step]:
    cancelled = state.stop is not None and state.stop.code == "cancelled"
    end = Became(at=now, status="cancelled" if cancelled else "failed")
    return _take_back(state.devices.values()) or [Write(end)]


def _roll_back(state: State, now: datetime) -> list[Step]:
    """The newest batch first; what was only staged is discarded when all is back."""
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
    return [Write(Became(at=now, status="rollback_pending" if pending else "rolled_back"))]


def _await_healing(state: State, now: datetime) -> list[Step]:
    if any(device.outcome == "rollback_pending" for device in state.devices.values()):
        return []
    return [Write(Became(at=now, status="rolled_back"))]


def _take_back(devices: Iterable[Device]) -> list[Step]:
    return [
        DeviceStep(device.next_undo, device.id, under_way=_is_under_way(device))
        for device in devices
        if device.next_undo
    ]


def _is_under_way(device: Device) -> bool:
    return device.open is not None and device.open.step == device.next_undo


def _locked_first(devices: list[Device]) -> list[Step]:
    """After a success the devices are free: they are locked again before anything is taken back."""
    free = tuple(device.id for device in devices if not device.locked)
    return [TakeLocks(free)] if free else _take_back(devices)


def _reason_to_turn_back(state: State) -> Stop | None:
    if state.stop:
        return state.stop
    failed = state.failed
    if not failed:
        return None
    if len(failed) > state.allowed_failures:
        return Stop("too_many_failures", _too_many(state, failed))
    if len(failed) == state.total:
        return Stop("too_many_failures", f"every device failed; {_first(failed)}")
    batch = state.current_batch
    if batch and all(device.failed for device in batch):
        return Stop("batch_failed", f"batch {state.batch} failed as a whole; {_first(failed)}")
    return None


def _too_many(state: State, failed: list[Device]) -> str:
    may = f"{state.allowed_failures} may" if state.allowed_failures else "none may"
    return f"{len(failed)} of {state.total} devices failed and {may}; {_first(failed)}"


def _first(failed: list[Device]) -> str:
    return f"{failed[0].id}: {failed[0].reason}"


def _nothing(_state: State, _now: datetime) -> list[Step]:
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
_AFTERWARDS: Final[dict[DeploymentStatus, _Due]] = {
    "discarding": _discard,
    "rolling_back": _roll_back,
    "rollback_pending": _await_healing,
    "succeeded": _guard,
    "failed": _nothing,
    "cancelled": _nothing,
    "rolled_back": _nothing,
}
