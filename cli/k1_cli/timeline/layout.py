"""Where everything stands in the picture of a deployment."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final, Literal

from k1_cli.board import describe_failure
from k1_cli.formatting import count_of, display_name
from k1_cli.timeline.axis import Axis, duration, make_axis
from k1_contracts.messages.deployment_queries import DeploymentView, DeviceDeployment, LogLine
from k1_contracts.messages.deployments import DeviceOutcome, StepName, StepView

MOST_ROWS: Final = 60
"""With more devices, those with the same fate share a row."""
_MOST_TROUBLED: Final = 24
_MOST_MARKS: Final = 24
_TROUBLED: Final[frozenset[DeviceOutcome]] = frozenset({"failed", "blocked", "rollback_pending"})

Tone = StepName | Literal["failed", "running"]
"""What colours a bar: its step when it is done, else how it stands."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A step, or the same step of several devices; seconds since the start."""

    step: StepName
    tone: Tone
    start: float
    end: float
    lane: int = 0
    """Bars of one lane never overlap."""


@dataclass(frozen=True, slots=True)
class Row:
    """A device, or several with the same fate."""

    label: str
    batch: int | None
    outcome: DeviceOutcome
    devices: int
    bars: tuple[Bar, ...]

    @property
    def lanes(self) -> int:
        """How many bars stand above each other at most."""
        return 1 + max((bar.lane for bar in self.bars), default=0)


@dataclass(frozen=True, slots=True)
class Moment:
    """A batch changed its show."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A line of the log."""

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
    moments: tuple[Moment, ...]
    marks: tuple[Mark, ...]


def lay_out(view: DeploymentView, title: str) -> Timeline:
    """The picture of a deployment, also of one that still runs or has not begun; `title` is that of the song."""
    clock = _Clock(view)
    moments = tuple(_moments(view, clock))
    marks = tuple(_marks(view, clock))
    rows = tuple(_rows(view.devices, clock))
    edges = [edge for row in rows for bar in row.bars for edge in (bar.start, bar.end)]
    others = [clock.end, *(moment.at for moment in moments), *(mark.at for mark in marks)]
    return Timeline(
        title=f"{title} version {view.version}: {display_name(view.status)}",
        subtitle=_subtitle(view, clock),
        axis=make_axis([*edges, *others]),
        rows=rows,
        batch_names={row.batch: batch_name(view, row.batch) for row in rows},
        moments=moments,
        marks=marks,
    )


class _Clock:
    """Seconds since the deployment was made."""

    def __init__(self, view: DeploymentView) -> None:
        self._zero = view.created_at
        self.end = self.seconds(view.ended_at or view.updated_at)
        seen = [edge for device in view.devices for step in device.steps for edge in self.span(step)]
        self.end = max([self.end, *seen])

    def seconds(self, at: datetime) -> float:
        """Never before the start: other machines' clocks may be a little behind."""
        return max((at - self._zero).total_seconds(), 0.0)

    def span(self, step: StepView) -> tuple[float, float]:
        """One that runs still lasts until now."""
        start = self.seconds(step.started_at)
        return start, max(start, self.seconds(step.ended_at) if step.ended_at else self.end)


def _rows(devices: Sequence[DeviceDeployment], clock: _Clock) -> Iterator[Row]:
    ordered = sorted(devices, key=lambda device: (device.batch or 10**9, _natural(device.device_id)))
    if len(ordered) <= MOST_ROWS:
        yield from (_row([device], clock) for device in ordered)
        return
    alone = {id(device) for device in [d for d in ordered if _is_troubled(d)][:_MOST_TROUBLED]}
    alike: dict[tuple[int, str], list[DeviceDeployment]] = defaultdict(list)
    for device in ordered:
        fate = f"!{device.device_id}" if id(device) in alone else device.outcome
        alike[device.batch or 10**9, fate].append(device)
    yield from (_row(alike[key], clock) for key in sorted(alike))


def _row(devices: Sequence[DeviceDeployment], clock: _Clock) -> Row:
    first = devices[0]
    label = first.device_id if len(devices) == 1 else count_of(len(devices), "device")
    bars = _in_lanes(_bars(devices, clock))
    return Row(label, first.batch, first.outcome, len(devices), tuple(bars))


def _bars(devices: Sequence[DeviceDeployment], clock: _Clock) -> Iterator[Bar]:
    if len(devices) == 1:
        yield from (Bar(step.step, _tone([step]), *clock.span(step)) for step in devices[0].steps)
        return
    by_name: dict[StepName, list[StepView]] = defaultdict(list)
    for device in devices:
        for step in device.steps:
            by_name[step.step].append(step)
    for name, steps in by_name.items():
        spans = [clock.span(step) for step in steps]
        yield Bar(name, _tone(steps), min(start for start, _ in spans), max(end for _, end in spans))


def _tone(steps: Sequence[StepView]) -> Tone:
    states = {step.status for step in steps}
    if "failed" in states:
        return "failed"
    return "running" if "running" in states else steps[0].step


def _in_lanes(bars: Iterable[Bar]) -> Iterator[Bar]:
    """Each bar in the first lane that is free from its start on."""
    free_from: list[float] = []
    for bar in sorted(bars, key=lambda bar: (bar.start, bar.end)):
        lane = next((n for n, free in enumerate(free_from) if free <= bar.start), len(free_from))
        free_from[lane:] = [bar.end, *free_from[lane + 1 :]]
        yield Bar(bar.step, bar.tone, bar.start, bar.end, lane)


def _is_troubled(device: DeviceDeployment) -> bool:
    return device.outcome in _TROUBLED or any(step.status == "failed" for step in device.steps)


def _moments(view: DeploymentView, clock: _Clock) -> Iterator[Moment]:
    """When each batch was activated: the middle of its devices, and how far the worst of them was off."""
    activated: dict[int, list[StepView]] = defaultdict(list)
    for device in view.devices:
        done = [step for step in device.steps if step.step == "activate" and step.status == "done"]
        activated[device.batch or 1] += [step for step in done if step.ended_at]
    for batch, steps in sorted(activated.items()):
        if steps:
            errors = [abs(step.error_ms) for step in steps if step.error_ms is not None]
            off = f" ±{max(errors):.2g} ms" if errors else ""
            yield Moment(median(clock.span(step)[1] for step in steps), f"{batch_name(view, batch)}{off}")


def batch_name(view: DeploymentView, batch: int | None) -> str:
    """`canary`, `batch 2` ..."""
    if batch is None:
        return "" if view.status in {"queued", "checking"} else "left out"
    return "canary" if view.strategy.canary and batch == 1 else f"batch {batch}"


def _marks(view: DeploymentView, clock: _Clock) -> Iterator[Mark]:
    """What happened to the deployment as a whole and what failed on devices; the middle of many is left out."""
    lines = sorted(_log_lines(view.log) + _failures(view), key=lambda line: line[0])
    numbered = list(enumerate(lines, start=1))
    half = _MOST_MARKS // 2
    for number, (moment, text) in (
        numbered if len(lines) <= _MOST_MARKS else [*numbered[:half], *numbered[-half:]]
    ):
        at = clock.seconds(moment)
        yield Mark(at, number, duration(at), text)


def _log_lines(log: Sequence[LogLine]) -> list[tuple[datetime, str]]:
    """Lines of devices where there are no others; what failed on them their steps tell."""
    lines = [line for line in log if line.device_id is None] or list(log)
    return [(line.at, f"{line.device_id}: {line.text}" if line.device_id else line.text) for line in lines]


def _failures(view: DeploymentView) -> list[tuple[datetime, str]]:
    return [
        (step.ended_at or step.started_at, f"{device.device_id}: {describe_failure(step)}")
        for device in view.devices
        for step in device.steps
        if device.reason and step.status == "failed"  # without a reason it was cut off by what came next
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


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """`k1-9` before `k1-10`."""
    parts = re.split(r"([0-9]+)", name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
