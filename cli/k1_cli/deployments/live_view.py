"""The state of a deployment while it is watched: a full view first, then one change after another."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from k1_contracts.messages.deploy.deployment_queries import DeploymentView, DeviceDeployment, LogLine
from k1_contracts.messages.deploy.deployments import (
    ENDED,
    DeploymentChange,
    DeploymentStatus,
    DeviceOutcome,
    StepName,
    StepView,
)

FINISHED: Final = ENDED | {"rollback_pending"}
"""The statuses at which a watch ends; a pending rollback happens when the device comes back."""
_LOG_TAIL_SIZE: Final = 8


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device with the newest state of each of its steps."""

    device_id: str
    outcome: DeviceOutcome
    batch: int | None
    percent: float | None
    reason: str | None
    steps: Mapping[StepName, StepView]


@dataclass
class LiveView:
    """Everything that a watch shows of one deployment."""

    view: DeploymentView
    title: str
    """The title of the song."""
    status: DeploymentStatus = field(init=False)
    paused: bool = field(init=False)
    rows: dict[str, DeviceRow] = field(init=False)
    log_tail: deque[str] = field(init=False)
    """The newest lines of the event log, including the lines of the changes since the last full view."""

    def __post_init__(self) -> None:
        self.log_tail = deque(maxlen=_LOG_TAIL_SIZE)
        self.replace(self.view)

    @property
    def counts(self) -> Counter[DeviceOutcome]:
        """The number of devices by outcome."""
        return Counter(row.outcome for row in self.rows.values())

    def replace(self, view: DeploymentView) -> None:
        """Replace the whole state by a full view."""
        self.view, self.status, self.paused = view, view.status, view.paused
        self.rows = {device.device_id: _to_row(device) for device in view.devices}
        self.log_tail.clear()
        self.log_tail.extend(_log_text(line) for line in view.log)

    def apply(self, change: DeploymentChange) -> list[str]:
        """Apply a change of one step of one device, or of the status; return the lines that it adds to the log."""
        lines: list[str] = []
        if change.status != self.status:
            lines.append(f"{change.at:%H:%M:%S} {change.status.replace('_', ' ')}")
        if change.paused != self.paused:
            lines.append(f"{change.at:%H:%M:%S} {'paused' if change.paused else 'resumed'}")
        self.status, self.paused = change.status, change.paused
        row = self.rows.get(change.device_id or "")
        if row is not None:
            self.rows[row.device_id] = _update_row(row, change)
            if change.step is not None and change.step.status == "failed":
                lines.append(f"{change.at:%H:%M:%S} {row.device_id} {describe_failure(change.step)}")
        self.log_tail.extend(lines)
        return lines


def describe_failure(step: StepView) -> str:
    """Return `activate failed: no answer`, or the detail alone where it names the step itself."""
    if step.detail and step.detail.startswith(f"{step.step} "):
        return step.detail
    return f"{step.step} failed{f': {step.detail}' if step.detail else ''}"


def _log_text(line: LogLine) -> str:
    device = f"{line.device_id} " if line.device_id else ""
    return f"{line.at:%H:%M:%S} {device}{line.text}"


def _to_row(device: DeviceDeployment) -> DeviceRow:
    return DeviceRow(
        device.device_id,
        device.outcome,
        device.batch,
        device.percent,
        device.reason,
        {step.step: step for step in device.steps},
    )


def _update_row(row: DeviceRow, change: DeploymentChange) -> DeviceRow:
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
