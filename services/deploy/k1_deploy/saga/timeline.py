"""Turns the log into what people read: each device's steps with their times, and log lines. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from k1_contracts.messages.deploy.deployment_queries import DeviceDeployment, LogLine
from k1_contracts.messages.deploy.deployments import StepName, StepView
from k1_deploy.saga.device import Device
from k1_deploy.saga.entries import (
    Alarmed,
    CheckFailed,
    Closed,
    Controlled,
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
from k1_deploy.saga.state import State


def running_step(intent: Intent) -> StepView:
    """Return the view of a step in progress."""
    return StepView(step=intent.step, status="running", started_at=intent.at, attempt=intent.round + 1)


def ended_step(intent: Intent | None, outcome: Outcome) -> StepView:
    """Return the view of a step that has ended."""
    return StepView(
        step=outcome.step,
        status="done" if outcome.result == "done" else "failed",
        started_at=intent.at if intent else outcome.at,
        ended_at=outcome.at,
        attempt=intent.round + 1 if intent else 1,
        detail="interrupted" if outcome.result == "interrupted" else outcome.reason,
        error_ms=outcome.error_ms,
    )


@dataclass(slots=True)
class _Timeline:
    """The steps of one device; the last may be in progress."""

    steps: list[StepView] = field(default_factory=list[StepView])
    open: Intent | None = None

    def begin(self, intent: Intent) -> None:
        self._overtaken(intent)
        self.steps.append(running_step(intent))
        self.open = intent

    def end(self, outcome: Outcome) -> None:
        if self.open:
            self.steps.pop()
        self.steps.append(ended_step(self.open, outcome))
        self.open = None

    def note(
        self, step: StepName, started: StatusChanged, ended: LogEntry | None, problem: str | None = None
    ) -> None:
        """Add a step of the whole batch."""
        status = "failed" if problem else "done" if ended else "running"
        self.steps.append(
            StepView(
                step=step,
                status=status,
                started_at=started.at,
                ended_at=ended.at if ended else None,
                detail=problem,
            )
        )

    def _overtaken(self, by: Intent) -> None:
        if self.open:
            ended = {"status": "failed", "ended_at": by.at, "detail": "ended by what came next"}
            self.steps.append(self.steps.pop().model_copy(update=ended))
            self.open = None


@dataclass(slots=True)
class _TimelineBuilder:
    """Builds the timelines in one pass over the log."""

    state: State
    timelines: dict[str, _Timeline]
    batch: int = 0
    observing: StatusChanged | None = None
    alarmed: set[str] = field(default_factory=set[str])

    def add(self, entry: LogEntry) -> None:
        match entry:
            case Intent():
                self.timelines[entry.device_id].begin(entry)
            case Outcome():
                self.timelines[entry.device_id].end(entry)
            case Alarmed() | Diverged():
                self.alarmed.add(entry.device_id)
                if self.observing:
                    self.timelines[entry.device_id].note("observe", self.observing, entry, entry.reason)
            case QualityMeasured() if not entry.passed and self.observing:
                self.alarmed.add(entry.device_id)
                self.timelines[entry.device_id].note("observe", self.observing, entry, entry.reason)
            case StatusChanged():
                self._status_changed(entry)
            case _:
                pass

    def _status_changed(self, entry: StatusChanged) -> None:
        self.end_observing(entry)
        self.batch += entry.status == "activating"
        self.observing = entry if entry.status == "observing" else None
        if entry.status == "committing":
            for device in self.state.devices.values():
                if device.verified and device.id not in self.alarmed:
                    self.timelines[device.id].note("commit", entry, entry)

    def end_observing(self, entry: StatusChanged | None) -> None:
        """Add the observation of the current batch to its devices; None: it has not ended."""
        if self.observing is None:
            return
        for device in self.state.devices.values():
            if device.batch == self.batch and device.verified and device.id not in self.alarmed:
                self.timelines[device.id].note("observe", self.observing, entry)


def device_views(state: State, entries: Iterable[LogEntry]) -> list[DeviceDeployment]:
    """Return every device with its timeline, in the order of the request."""
    builder = _TimelineBuilder(state, {device_id: _Timeline() for device_id in state.devices})
    for entry in entries:
        builder.add(entry)
    builder.end_observing(None)
    return [_view(device, builder.timelines[device.id]) for device in state.devices.values()]


def _view(device: Device, timeline: _Timeline) -> DeviceDeployment:
    return DeviceDeployment(
        device_id=device.id,
        outcome=device.outcome,
        reason=device.reason,
        batch=device.batch,
        before=device.before,
        steps=timeline.steps,
    )


def log_lines(entries: Sequence[LogEntry]) -> list[LogLine]:
    """Return what happened to the deployment and what failed on devices; timelines hold the rest."""
    lines: list[LogLine] = []
    for seq, entry in enumerate(entries, start=1):
        text = _text(entry)
        if text:
            device_id = getattr(entry, "device_id", None)
            lines.append(LogLine(seq=seq, at=entry.at, text=text, device_id=device_id))
    return lines


def _text(entry: LogEntry) -> str | None:
    match entry:
        case Intent():
            return None
        case Outcome():
            return _failure(entry) if entry.result == "failed" else None
        case CheckFailed() | Alarmed() | Diverged() | Reconciled() | QualityMeasured():
            return _of_device(entry)
        case _:
            return _of_deployment(entry)


def _failure(entry: Outcome) -> str:
    """Return the reason, with the name of the step unless the reason names it."""
    reason = entry.reason or "no reason given"
    return reason if reason.startswith(f"{entry.step} ") else f"{entry.step} failed: {reason}"


def _of_device(entry: CheckFailed | Alarmed | Diverged | Reconciled | QualityMeasured) -> str:
    match entry:
        case CheckFailed():
            return f"left out: {entry.reason}"
        case Alarmed():
            return f"{entry.alarm} alarm: {entry.reason}"
        case Diverged():
            return entry.reason
        case Reconciled():
            return f"put right: {entry.detail}"
        case QualityMeasured():
            return _quality(entry)


def _quality(entry: QualityMeasured) -> str:
    if not entry.passed:
        return f"quality gate failed: {entry.reason}"
    return f"quality gate passed: at most {entry.max_drift_ms or 0:.1f} ms of drift for {entry.bars} bars"


def _of_deployment(entry: Opened | Locked | Controlled | StatusChanged | LeaseTakenOver | Closed) -> str:
    match entry:
        case Opened():
            return f"ordered for {_devices(entry.device_ids)}"
        case Locked():
            lost = len(entry.superseded)
            belong = "belongs" if lost == 1 else "belong"
            gone = f", {lost} {belong} to a later deployment" if lost else ""
            return f"holds {_devices(entry.device_ids)}{gone}"
        case Controlled():
            return f"{entry.action} by {entry.by}{f': {entry.reason}' if entry.reason else ''}"
        case StatusChanged():
            return f"{entry.status.replace('_', ' ')}{f': {entry.reason}' if entry.reason else ''}"
        case LeaseTakenOver():
            return f"taken over by {entry.owner}"
        case Closed():
            return "the guard is over"


def _devices(device_ids: Sequence[str]) -> str:
    return "1 device" if len(device_ids) == 1 else f"{len(device_ids)} devices"
