"""Signals from outside, and their effect on a deployment in its current state. Pure.

Only the process with the lease writes the log of a deployment. All others add signals; when a signal is handled, it may
not matter any more.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from k1_contracts.base import Contract, UtcTime
from k1_contracts.messages.deploy.device_link import DeviceId
from k1_contracts.messages.telemetry import AlarmKind
from k1_deploy.saga.entries import Alarmed, Controlled, Diverged, LogEntry, Reconciled
from k1_deploy.saga.state import FORWARD, State


class AlarmSignal(Contract):
    """An alarm was raised for a device of the deployment."""

    kind: Literal["alarm"] = "alarm"
    device_id: DeviceId
    alarm: AlarmKind
    reason: str
    raised_at: UtcTime


class HelloSignal(Contract):
    """A device of the deployment has reconnected and does not run the new bundle."""

    kind: Literal["hello"] = "hello"
    device_id: DeviceId
    said_at: UtcTime


class ControlSignal(Contract):
    """A person controls the deployment."""

    kind: Literal["control"] = "control"
    action: Literal["cancel", "rollback", "pause", "resume"]
    by: str
    reason: str | None = None


class ReconciledSignal(Contract):
    """A device is in its desired state again."""

    kind: Literal["healed"] = "healed"
    device_id: DeviceId
    detail: str


Signal = AlarmSignal | HelloSignal | ControlSignal | ReconciledSignal
_SIGNAL: Final[TypeAdapter[Signal]] = TypeAdapter(Annotated[Signal, Field(discriminator="kind")])


def parse_signal(text: str | bytes) -> Signal:
    """Return the signal of a row."""
    return _SIGNAL.validate_json(text)


def entries_for(state: State, signal: Signal, now: datetime) -> list[LogEntry]:
    """Return the entries to write for a signal; none when the signal does not matter (any more)."""
    match signal:
        case AlarmSignal():
            return [_alarmed(signal, now)] if _has_effect(state, signal, now) else []
        case HelloSignal():
            return [_diverged(signal, now)] if _has_diverged(state, signal) else []
        case ControlSignal():
            return [_controlled(signal, now)] if may_control(state, signal.action) else []
        case ReconciledSignal():
            device = state.devices.get(signal.device_id)
            pending = device is not None and device.outcome == "rollback_pending"
            return [Reconciled(at=now, device_id=signal.device_id, detail=signal.detail)] if pending else []


def may_control(state: State, action: str) -> bool:
    """Return whether a person's control is legal in this state."""
    if state.status == "succeeded":
        return action == "rollback" and state.stop is None
    if state.status not in FORWARD or state.stop is not None:
        return False
    if action in {"pause", "resume"}:
        return state.paused is (action == "resume")
    return True


def _has_effect(state: State, signal: AlarmSignal, now: datetime) -> bool:
    """Return whether an alarm has an effect.

    Before the success every alarm counts, in the guard time only drift; alarms from before the activation never count.
    """
    device = state.devices.get(signal.device_id)
    if device is None or device.superseded or device.activated_at is None:
        return False
    if signal.raised_at < device.activated_at:
        return False
    if state.status == "succeeded":
        guarded = not state.closed and state.guard_until is not None and now < state.guard_until
        return device.outcome == "committed" and guarded and signal.alarm == "drift" and state.stop is None
    return device.outcome in {"active", "committed"} and state.status in FORWARD


def _has_diverged(state: State, signal: HelloSignal) -> bool:
    """Return whether the device has diverged before the commit; after it the reconciler handles it."""
    device = state.devices.get(signal.device_id)
    if device is None or device.activated_at is None or state.status not in FORWARD:
        return False
    return device.outcome == "active" and signal.said_at > device.activated_at


def _diverged(signal: HelloSignal, now: datetime) -> Diverged:
    reason = "it came back without the new bundle running"
    return Diverged(at=now, device_id=signal.device_id, reason=reason)


def _alarmed(signal: AlarmSignal, now: datetime) -> Alarmed:
    return Alarmed(at=now, device_id=signal.device_id, alarm=signal.alarm, reason=signal.reason)


def _controlled(signal: ControlSignal, now: datetime) -> Controlled:
    return Controlled(at=now, action=signal.action, by=signal.by, reason=signal.reason)
