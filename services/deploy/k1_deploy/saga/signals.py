"""What comes from outside, and what it means for a deployment now. Pure.

Only the process that holds a deployment writes its log. Everybody else leaves a signal; by the time it is
taken, it may no longer matter.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from k1_contracts.base import Contract, UtcTime
from k1_contracts.messages.device_link import DeviceId
from k1_contracts.messages.telemetry import AlarmKind
from k1_deploy.saga.entries import Alarmed, Controlled, Healed, LogEntry, Strayed
from k1_deploy.saga.state import FORWARD, State


class AlarmSignal(Contract):
    """A device of the deployment has reached a level that must not be."""

    kind: Literal["alarm"] = "alarm"
    device_id: DeviceId
    alarm: AlarmKind
    reason: str
    raised_at: UtcTime


class HelloSignal(Contract):
    """A device of the deployment has connected anew and does not run the new bundle."""

    kind: Literal["hello"] = "hello"
    device_id: DeviceId
    said_at: UtcTime


class ControlSignal(Contract):
    """A person wants something."""

    kind: Literal["control"] = "control"
    action: Literal["cancel", "rollback", "pause", "resume"]
    by: str
    reason: str | None = None


class HealedSignal(Contract):
    """A device runs what it should run."""

    kind: Literal["healed"] = "healed"
    device_id: DeviceId
    detail: str


Signal = AlarmSignal | HelloSignal | ControlSignal | HealedSignal
_SIGNAL: Final[TypeAdapter[Signal]] = TypeAdapter(Annotated[Signal, Field(discriminator="kind")])


def read_signal(text: str | bytes) -> Signal:
    """The signal of a row."""
    return _SIGNAL.validate_json(text)


def receive(state: State, signal: Signal, now: datetime) -> list[LogEntry]:
    """What is written for a signal; nothing when it does not matter (any more)."""
    match signal:
        case AlarmSignal():
            return [_alarmed(signal, now)] if _matters(state, signal, now) else []
        case HelloSignal():
            return [_strayed(signal, now)] if _has_strayed(state, signal) else []
        case ControlSignal():
            return [_controlled(signal, now)] if may_control(state, signal.action) else []
        case HealedSignal():
            device = state.devices.get(signal.device_id)
            pending = device is not None and device.outcome == "rollback_pending"
            return [Healed(at=now, device_id=signal.device_id, detail=signal.detail)] if pending else []


def may_control(state: State, action: str) -> bool:
    """Whether a person's wish can be met from here."""
    if state.status == "succeeded":
        return action == "rollback" and state.stop is None
    if state.status not in FORWARD or state.stop is not None:
        return False
    if action in {"pause", "resume"}:
        return state.paused is (action == "resume")
    return True


def _matters(state: State, signal: AlarmSignal, now: datetime) -> bool:
    """While it is watched every alarm counts, under the guard drift alone; never one from before the activation."""
    device = state.devices.get(signal.device_id)
    if device is None or device.superseded or device.activated_at is None:
        return False
    if signal.raised_at < device.activated_at:
        return False
    if state.status == "succeeded":
        guarded = not state.closed and state.guard_until is not None and now < state.guard_until
        return device.outcome == "committed" and guarded and signal.alarm == "drift" and state.stop is None
    return device.outcome in {"active", "committed"} and state.status in FORWARD


def _has_strayed(state: State, signal: HelloSignal) -> bool:
    """Until the commit; from then on healing puts it right."""
    device = state.devices.get(signal.device_id)
    if device is None or device.activated_at is None or state.status not in FORWARD:
        return False
    return device.outcome == "active" and signal.said_at > device.activated_at


def _strayed(signal: HelloSignal, now: datetime) -> Strayed:
    reason = "it came back without the new bundle running"
    return Strayed(at=now, device_id=signal.device_id, reason=reason)


def _alarmed(signal: AlarmSignal, now: datetime) -> Alarmed:
    return Alarmed(at=now, device_id=signal.device_id, alarm=signal.alarm, reason=signal.reason)


def _controlled(signal: ControlSignal, now: datetime) -> Controlled:
    return Controlled(at=now, action=signal.action, by=signal.by, reason=signal.reason)
