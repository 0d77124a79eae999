"""The state of a deployment as it is watched: the view at the start, then change by change."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from k1_contracts.messages.deployment_queries import DeploymentView, DeviceDeployment, LogLine
from k1_contracts.messages.deployments import (
    ENDED,
    DeploymentChange,
    DeploymentStatus,
    DeviceOutcome,
    StepName,
    StepView,
)

OVER: Final = ENDED | {"rollback_pending"}
"""Nobody waits longer: what is pending is put right when the device comes back."""
_TAIL: Final = 8


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device: its newest state of each step."""

    device_id: str
    outcome: DeviceOutcome
    batch: int | None
    percent: float | None
    reason: str | None
    steps: Mapping[StepName, StepView]


@dataclass
class Board:
    """Everything that is shown of one deployment."""

    view: DeploymentView
    title: str
    """Of the song."""
    status: DeploymentStatus = field(init=False)
    paused: bool = field(init=False)
    rows: dict[str, DeviceRow] = field(init=False)
    tail: deque[str] = field(init=False)
    """The newest lines of the log, and what the changes since then told."""

    def __post_init__(self) -> None:
        self.tail = deque(maxlen=_TAIL)
        self.take_view(self.view)

    @property
    def counts(self) -> Counter[DeviceOutcome]:
        """Devices by outcome."""
        return Counter(row.outcome for row in self.rows.values())

    def take_view(self, view: DeploymentView) -> None:
        """All of it anew."""
        self.view, self.status, self.paused = view, view.status, view.paused
        self.rows = {device.device_id: _row(device) for device in view.devices}
        self.tail.clear()
        self.tail.extend(_log_text(line) for line in view.log)

    def take_change(self, change: DeploymentChange) -> list[str]:
        """One step of one device, or the status; returns the lines that it adds to the log."""
        told: list[str] = []
        if change.status != self.status:
            told.append(f"{change.at:%H:%M:%S} {change.status.replace('_', ' ')}")
        if change.paused != self.paused:
            told.append(f"{change.at:%H:%M:%S} {'paused' if change.paused else 'resumed'}")
        self.status, self.paused = change.status, change.paused
        row = self.rows.get(change.device_id or "")
        if row is not None:
            self.rows[row.device_id] = _changed(row, change)
            if change.step is not None and change.step.status == "failed":
                told.append(f"{change.at:%H:%M:%S} {row.device_id} {describe_failure(change.step)}")
        self.tail.extend(told)
        return told


def describe_failure(step: StepView) -> str:
    """Return `activate failed: no answer`; a detail that names the step itself stands alone."""
    if step.detail and step.detail.startswith(f"{step.step} "):
        return step.detail
    return f"{step.step} failed{f': {step.detail}' if step.detail else ''}"


def _log_text(line: LogLine) -> str:
    device = f"{line.device_id} " if line.device_id else ""
    return f"{line.at:%H:%M:%S} {device}{line.text}"


def _row(device: DeviceDeployment) -> DeviceRow:
    return DeviceRow(
        device.device_id,
        device.outcome,
        device.batch,
        device.percent,
        device.reason,
        {step.step: step for step in device.steps},
    )


def _changed(row: DeviceRow, change: DeploymentChange) -> DeviceRow:
    step = change.step
    failed = step.detail if step is not None and step.status == "failed" else None
    return DeviceRow(
        row.device_id,
        change.outcome or row.outcome,
        row.batch,
        row.percent if change.percent is None else change.percent,
        failed or row.reason,
        {**row.steps, step.step: step} if step is not None else row.steps,
    )
