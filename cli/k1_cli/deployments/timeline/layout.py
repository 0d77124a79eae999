"""Computes the layout of a timeline: rows, bars, axis, labels and log lines. Pure: it draws nothing."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final, Literal

from k1_cli.deployments.live_view import describe_failure
from k1_cli.deployments.timeline.axis import Axis, duration, make_axis
from k1_cli.output.formatting import count_of, display_name
from k1_contracts.messages.deploy.deployment_queries import DeploymentView, DeviceDeployment, LogLine
from k1_contracts.messages.deploy.deployments import DeviceOutcome, StepName, StepView

MAX_ROWS: Final = 60
"""With more devices, those with the same outcome share a row."""
_MAX_FAILED_ROWS: Final = 24
_MAX_MARKS: Final = 24
_FAILED_OUTCOMES: Final[frozenset[DeviceOutcome]] = frozenset({"failed", "blocked", "rollback_pending"})

BarStyle = StepName | Literal["failed", "running"]
"""Selects the colour of a bar: its step when that is done, else its status."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A step, or the same step of several devices; times in seconds since the start."""

    step: StepName
    style: BarStyle
    start: float
    end: float
    lane: int = 0
    """The line of the row that the bar is drawn on; bars of one lane never overlap."""


@dataclass(frozen=True, slots=True)
class Row:
    """A device, or several with the same outcome."""

    label: str
    batch: int | None
    outcome: DeviceOutcome
    devices: int
    bars: tuple[Bar, ...]

    @property
    def lanes(self) -> int:
        """The number of lanes of the row."""
        return 1 + max((bar.lane for bar in self.bars), default=0)


@dataclass(frozen=True, slots=True)
class BatchActivation:
    """The time at which a batch changed its show."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class LogMark:
    """A line of the log with its number in the picture."""

    at: float
    number: int
    clock: str
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The whole picture."""

    title: str
    subtitle: str
    axis: Axis
    rows: tuple[Row, ...]
    batch_names: dict[int | None, str]
    activations: tuple[BatchActivation, ...]
    marks: tuple[LogMark, ...]


def lay_out(view: DeploymentView, title: str) -> Timeline:
    """Return the layout for a deployment, which may still run or not have begun; `title` is that of the song."""
    clock = _Clock(view)
    activations = tuple(_batch_activations(view, clock))
    marks = tuple(_marks(view, clock))
    rows = tuple(_rows(view.devices, clock))
    edges = [edge for row in rows for bar in row.bars for edge in (bar.start, bar.end)]
    others = [clock.end, *(activation.at for activation in activations), *(mark.at for mark in marks)]
    return Timeline(
        title=f"{title} version {view.version}: {display_name(view.status)}",
        subtitle=_subtitle(view, clock),
        axis=make_axis([*edges, *others]),
        rows=rows,
        batch_names={row.batch: batch_name(view, row.batch) for row in rows},
        activations=activations,
        marks=marks,
    )


class _Clock:
    """Converts times to seconds since the deployment was created."""

    def __init__(self, view: DeploymentView) -> None:
        self._zero = view.created_at
        self.end = self.seconds(view.ended_at or view.updated_at)
        seen = [edge for device in view.devices for step in device.steps for edge in self.span(step)]
        self.end = max([self.end, *seen])

    def seconds(self, at: datetime) -> float:
        """Return the seconds since the start, never negative: clocks of other machines may be a little behind."""
        return max((at - self._zero).total_seconds(), 0.0)

    def span(self, step: StepView) -> tuple[float, float]:
        """Return the start and end of a step; the end of a running one is that of the picture."""
        start = self.seconds(step.started_at)
        return start, max(start, self.seconds(step.ended_at) if step.ended_at else self.end)


def _rows(devices: Sequence[DeviceDeployment], clock: _Clock) -> Iterator[Row]:
    ordered = sorted(devices, key=lambda device: (device.batch or 10**9, _natural_sort_key(device.device_id)))
    if len(ordered) <= MAX_ROWS:
        yield from (_row([device], clock) for device in ordered)
        return
    alone = {id(device) for device in [d for d in ordered if _has_failed(d)][:_MAX_FAILED_ROWS]}
    groups: dict[tuple[int, str], list[DeviceDeployment]] = defaultdict(list)
    for device in ordered:
        group = f"!{device.device_id}" if id(device) in alone else device.outcome
        groups[device.batch or 10**9, group].append(device)
    yield from (_row(groups[key], clock) for key in sorted(groups))


def _row(devices: Sequence[DeviceDeployment], clock: _Clock) -> Row:
    first = devices[0]
    label = first.device_id if len(devices) == 1 else count_of(len(devices), "device")
    bars = _in_lanes(_bars(devices, clock))
    return Row(label, first.batch, first.outcome, len(devices), tuple(bars))


def _bars(devices: Sequence[DeviceDeployment], clock: _Clock) -> Iterator[Bar]:
    if len(devices) == 1:
        yield from (Bar(step.step, _bar_style([step]), *clock.span(step)) for step in devices[0].steps)
        return
    by_name: dict[StepName, list[StepView]] = defaultdict(list)
    for device in devices:
        for step in device.steps:
            by_name[step.step].append(step)
    for name, steps in by_name.items():
        spans = [clock.span(step) for step in steps]
        yield Bar(name, _bar_style(steps), min(start for start, _ in spans), max(end for _, end in spans))


def _bar_style(steps: Sequence[StepView]) -> BarStyle:
    states = {step.status for step in steps}
    if "failed" in states:
        return "failed"
    return "running" if "running" in states else steps[0].step


def _in_lanes(bars: Iterable[Bar]) -> Iterator[Bar]:
    """Yield each bar with the first lane that is free from its start on."""
    free_from: list[float] = []
    for bar in sorted(bars, key=lambda bar: (bar.start, bar.end)):
        lane = next((n for n, free in enumerate(free_from) if free <= bar.start), len(free_from))
        free_from[lane:] = [bar.end, *free_from[lane + 1 :]]
        yield Bar(bar.step, bar.style, bar.start, bar.end, lane)


def _has_failed(device: DeviceDeployment) -> bool:
    return device.outcome in _FAILED_OUTCOMES or any(step.status == "failed" for step in device.steps)


def _batch_activations(view: DeploymentView, clock: _Clock) -> Iterator[BatchActivation]:
    """Yield when each batch was activated: the median of its devices, with the largest timing error."""
    activated: dict[int, list[StepView]] = defaultdict(list)
    for device in view.devices:
        done = [step for step in device.steps if step.step == "activate" and step.status == "done"]
        activated[device.batch or 1] += [step for step in done if step.ended_at]
    for batch, steps in sorted(activated.items()):
        if steps:
            errors = [abs(step.error_ms) for step in steps if step.error_ms is not None]
            off = f" ±{max(errors):.2g} ms" if errors else ""
            yield BatchActivation(
                median(clock.span(step)[1] for step in steps), f"{batch_name(view, batch)}{off}"
            )


def batch_name(view: DeploymentView, batch: int | None) -> str:
    """Return `canary`, `batch 2` and so on; for devices without a batch `left out`."""
    if batch is None:
        return "" if view.status in {"queued", "checking"} else "left out"
    return "canary" if view.strategy.canary and batch == 1 else f"batch {batch}"


def _marks(view: DeploymentView, clock: _Clock) -> Iterator[LogMark]:
    """Yield the events of the whole deployment and the failures of devices; of too many, the first and the last."""
    lines = sorted(_log_lines(view.log) + _failures(view), key=lambda line: line[0])
    numbered = list(enumerate(lines, start=1))
    half = _MAX_MARKS // 2
    for number, (logged_at, text) in (
        numbered if len(lines) <= _MAX_MARKS else [*numbered[:half], *numbered[-half:]]
    ):
        at = clock.seconds(logged_at)
        yield LogMark(at, number, duration(at), text)


def _log_lines(log: Sequence[LogLine]) -> list[tuple[datetime, str]]:
    """Return the lines about the whole deployment, or all lines where there are none; failures come from the steps."""
    lines = [line for line in log if line.device_id is None] or list(log)
    return [(line.at, f"{line.device_id}: {line.text}" if line.device_id else line.text) for line in lines]


def _failures(view: DeploymentView) -> list[tuple[datetime, str]]:
    return [
        (step.ended_at or step.started_at, f"{device.device_id}: {describe_failure(step)}")
        for device in view.devices
        for step in device.steps
        if device.reason and step.status == "failed"  # without a reason, a later step ended this one
    ]


def _subtitle(view: DeploymentView, clock: _Clock) -> str:
    at = f"{view.created_at:%Y-%m-%d %H:%M:%S} UTC"
    parts = [
        view.id,
        view.track_id,
        f"by {view.requested_by}",
        at,
        duration(clock.end),
        count_of(view.total, "device"),
    ]
    return " · ".join(parts) + (f"\n{view.reason}" if view.reason else "")


def _natural_sort_key(name: str) -> list[tuple[bool, int, str]]:
    """Return a sort key that puts `k1-9` before `k1-10`."""
    parts = re.split(r"([0-9]+)", name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
