"""Computes the next state from a state and a log entry; raises for an illegal entry. Pure.

`fold` computes the state of a whole log, `extend` that of a state and later entries. Both handle each entry once; the
devices are copied once per call, so pass many entries at a time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from k1_contracts.messages.deploy.deployments import ENDED
from k1_deploy.saga.device import FORWARD as FORWARD_STEPS
from k1_deploy.saga.device import Device
from k1_deploy.saga.entries import (
    Alarmed,
    CheckFailed,
    Closed,
    Controlled,
    DeviceStepName,
    Diverged,
    Intent,
    LeaseTakenOver,
    Locked,
    LogEntry,
    Opened,
    Outcome,
    QualityMeasured,
    Reconciled,
    StatusChanged,
)
from k1_deploy.saga.errors import IllegalTransitionError
from k1_deploy.saga.state import FORWARD, LOCKING, NEXT_STATUSES, TURNING_BACK, State, StopReason
from k1_deploy.saga.strategy import batches

DeviceEntry = Intent | Outcome | CheckFailed | Alarmed | Diverged | Reconciled
_STEP_STATUS: Final[dict[DeviceStepName, str]] = {
    "check": "checking",
    "stage": "staging",
    "activate": "activating",
    "verify": "activating",
}


def fold(deployment_id: str, entries: Iterable[LogEntry]) -> State:
    """Return the state of a log.

    Raises:
        IllegalTransitionError: an entry is illegal after those before it.
    """
    return extend(State(deployment_id), entries)


def extend(state: State, entries: Iterable[LogEntry]) -> State:
    """Return the state after more entries; `state` does not change. Raises as `fold`."""
    devices = dict(state.devices)
    draft = replace(state, devices=devices)
    for entry in entries:
        draft = _apply(draft, devices, entry)
    return draft


def apply(state: State, entry: LogEntry) -> State:
    """Return the state after one entry. Raises as `fold`."""
    return extend(state, [entry])


def admit(state: State, groups: Sequence[Sequence[LogEntry]]) -> tuple[State, list[bool]]:
    """Return the state after those groups of entries that are still legal, and which groups they are.

    Several tasks write at the same time: when an outcome is written, an alarm may have undone the step. A group is
    admitted as a whole or not at all; of several entries each must concern one device.
    """
    devices = dict(state.devices)
    draft, admitted = replace(state, devices=devices), list[bool]()
    for group in groups:
        before, touched = draft, {id_: devices[id_] for entry in group for id_ in _subject(entry, devices)}
        try:
            for entry in group:
                draft = _apply(draft, devices, entry)
        except IllegalTransitionError:
            draft = before
            devices.update(touched)
            admitted.append(False)
        else:
            admitted.append(True)
    return draft, admitted


def _subject(entry: LogEntry, devices: Mapping[str, Device]) -> list[str]:
    device_id = getattr(entry, "device_id", "")
    return [device_id] if device_id in devices else []


def _apply(state: State, devices: dict[str, Device], entry: LogEntry) -> State:
    """Apply one entry; `devices` belong to the draft and are changed in place."""
    match entry:
        case Intent() | Outcome() | CheckFailed() | Alarmed() | Diverged() | Reconciled():
            devices[entry.device_id] = _step(state, _device(state, entry.device_id), entry)
            return state
        case QualityMeasured():
            return _judge(state, devices, entry)
        case Opened():
            return _open(state, devices, entry)
        case Locked():
            return _lock(state, devices, entry)
        case StatusChanged():
            return _become(state, devices, entry)
        case Controlled() | LeaseTakenOver() | Closed():
            return _note(state, entry)


def _step(state: State, device: Device, entry: DeviceEntry) -> Device:
    match entry:
        case Intent():
            return _begin(state, device, entry)
        case Outcome():
            return _end(state, device, entry)
        case CheckFailed():
            return device.fail(entry.reason)
        case Alarmed() | Diverged():
            return _alarm(device, entry)
        case Reconciled():
            return device.reconcile()


def _judge(state: State, devices: dict[str, Device], entry: QualityMeasured) -> State:
    """Let the device pass, or fail it and turn the whole deployment back, whatever `max_failures` allows."""
    if state.status != "observing" or entry.device_id not in {device.id for device in state.unmeasured}:
        raise IllegalTransitionError(f"the quality of {entry.device_id} is not measured now")
    device = _device(state, entry.device_id)
    if entry.passed:
        devices[device.id] = device.pass_quality()
        return state
    reason = f"{device.id}: {entry.reason or 'no reason was given'}"
    devices[device.id] = device.fail(f"quality gate: {entry.reason}")
    return replace(state, stop=state.stop or StopReason("quality_gate", f"quality gate: {reason}"))


def _note(state: State, entry: Controlled | LeaseTakenOver | Closed) -> State:
    match entry:
        case Controlled():
            return _control(state, entry)
        case LeaseTakenOver():
            return replace(state, owner=entry.owner)
        case Closed():
            return _close(state)


def _open(state: State, devices: dict[str, Device], entry: Opened) -> State:
    if state.opened:
        raise IllegalTransitionError(f"{state.deployment_id} was opened before")
    devices.update({device_id: Device(device_id) for device_id in entry.device_ids})
    return replace(
        state,
        opened=True,
        bundle=entry.bundle,
        strategy=entry.strategy,
        activation=entry.activation,
        guard_s=entry.guard_s,
        stop=StopReason(entry.problem_code or "impossible", entry.problem) if entry.problem else None,
    )


def _lock(state: State, devices: dict[str, Device], entry: Locked) -> State:
    if state.status in {"failed", "cancelled", "rolled_back", "rollback_pending"}:
        raise IllegalTransitionError(f"{state.deployment_id} is {state.status} and locks no devices")
    for device_id in entry.device_ids:
        devices[device_id] = _device(state, device_id).lock()
    for device_id in entry.superseded:
        devices[device_id] = _device(state, device_id).supersede()
    return state


def _begin(state: State, device: Device, intent: Intent) -> Device:
    if not device.locked:
        raise IllegalTransitionError(f"{intent.step} on {device.id}, which is not locked")
    if intent.step in FORWARD_STEPS:
        if state.status != _STEP_STATUS[intent.step]:
            raise IllegalTransitionError(f"{intent.step} while {state.deployment_id} is {state.status}")
        if intent.step == "activate" and device.batch != state.batch:
            raise IllegalTransitionError(f"{device.id} is not of batch {state.batch}")
    elif state.status not in TURNING_BACK and not device.failed:
        raise IllegalTransitionError(f"{intent.step} on {device.id}, while nothing is taken back")
    return device.begin(intent)


def _end(state: State, device: Device, outcome: Outcome) -> Device:
    device = device.end(outcome)
    # After the success devices are rolled back one by one, and each is released as soon as it is done.
    done = state.status not in LOCKING and device.open is None and device.next_undo is None
    return device.unlock() if done else device


def _alarm(device: Device, entry: Alarmed | Diverged) -> Device:
    if device.outcome not in {"active", "committed"}:
        raise IllegalTransitionError(f"{device.id} is {device.outcome} and its alarms have no effect")
    return device.fail(entry.reason)


def _control(state: State, entry: Controlled) -> State:
    turn = entry.action in {"cancel", "rollback"}
    legal = state.status in FORWARD or (entry.action == "rollback" and state.status == "succeeded")
    if not legal:
        raise IllegalTransitionError(f"{entry.action} while {state.deployment_id} is {state.status}")
    if not turn:
        return replace(state, paused=entry.action == "pause")
    done = "cancelled" if entry.action == "cancel" else "rolled back"
    because = f": {entry.reason}" if entry.reason else ""
    # The first reason stays.
    stop = state.stop or StopReason("cancelled", f"{done} by {entry.by}{because}")
    return replace(state, stop=stop, paused=False, closed=False)


def _become(state: State, devices: dict[str, Device], entry: StatusChanged) -> State:
    if entry.status not in NEXT_STATUSES[state.status]:
        raise IllegalTransitionError(
            f"{state.deployment_id} is {state.status} and cannot become {entry.status}"
        )
    _require_ready(state, entry)
    if entry.reason and not state.stop:
        state = replace(state, stop=StopReason(entry.code or "failed", entry.reason))
    match entry.status:
        case "activating":
            state = _next_batch(state, devices)
        case "committing":
            devices.update(
                {device.id: device.commit() for device in devices.values() if device.outcome == "active"}
            )
        case "succeeded":
            state = replace(state, guard_until=entry.at + timedelta(seconds=state.guard_s))
        case _:
            pass
    if entry.status not in LOCKING:
        devices.update({device.id: device.unlock() for device in devices.values() if device.locked})
    closed = entry.status in ENDED - {"succeeded"}
    paused = state.paused and entry.status in FORWARD
    return replace(state, status=entry.status, until=entry.until, paused=paused, closed=closed)


def _next_batch(state: State, devices: dict[str, Device]) -> State:
    """Begin the next batch. The first time, divide the devices that are staged into batches."""
    if state.batch == 0:
        staged = [device.id for device in devices.values() if device.outcome == "staged"]
        for number, batch in enumerate(batches(state.strategy, staged), start=1):
            devices.update({device_id: replace(devices[device_id], batch=number) for device_id in batch})
    return replace(state, batch=state.batch + 1)


def _require_ready(state: State, entry: StatusChanged) -> None:
    """Check the preconditions of a status, independently of the code that wrote the entry."""
    devices = state.devices.values()
    if entry.status in {"activating", "committing"} and state.unmeasured:
        waiting = state.unmeasured[0].id
        raise IllegalTransitionError(f"{state.deployment_id} cannot go on: {waiting} is not measured")
    match entry.status:
        case "checking":
            broken = [d for d in devices if not d.locked]
        case "staging":
            broken = [d for d in devices if not d.checked and not d.failed]
        case "activating":
            broken = [
                d for d in devices if d.outcome in {"pending", "staging", "activating"} and not d.failed
            ]
        case "observing" | "committing":
            broken = [d for d in state.current_batch if not d.failed and not d.verified]
        case "discarding":
            broken = [d for d in devices if d.activations]
        case "succeeded":
            broken = [d for d in devices if d.open or (d.failed and d.next_undo)]
        case "failed" | "cancelled" | "rolled_back" | "rollback_pending":
            pending = {"rollback_pending"} if entry.status == "rolled_back" else set[str]()
            broken = [d for d in devices if d.next_undo or d.outcome in pending]
        case _:
            broken = []
    if broken:
        raise IllegalTransitionError(
            f"{state.deployment_id} cannot become {entry.status}: {broken[0].id} is {broken[0].outcome}"
        )


def _close(state: State) -> State:
    if state.status != "succeeded":
        raise IllegalTransitionError(f"{state.deployment_id} is {state.status} and has no guard time to end")
    return replace(state, closed=True)


def _device(state: State, device_id: str) -> Device:
    if device_id not in state.devices:
        raise IllegalTransitionError(f"{state.deployment_id} is not about device {device_id}")
    return state.devices[device_id]
