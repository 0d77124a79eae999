"""Chooses the table and the step with which a window of telemetry is read; pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from k1_contracts.messages.telemetry_history import Resolution
from k1_telemetry.database import ROLLUPS

RAW_MAX: Final = timedelta(minutes=15)
"""Readings have no index by device, so a long window of them would read those of all devices."""
MAX_ROWS: Final = 200_000
"""The largest number of rows that one query reads, except for minutes, which have no coarser table."""
MAX_STEPS: Final = 20_000
SKETCHED_ROWS: Final = 60_000
"""Merging the sketches of so many rows takes about a third of a second; of more, the percentile is left out."""
_OVERSAMPLING: Final = 4
"""How many points LTTB gets for each that it keeps, where the step is chosen here."""
_NICE_STEPS_S: Final = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
_READINGS_PER_MINUTE: Final = 600
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES: Final[dict[int, Resolution]] = {1: "1s", 5: "5s", 60: "1m"}


class WindowError(ValueError):
    """The step does not fit the window; the text says which one does."""


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """How a window is read.

    Attributes:
        resolution: the table.
        step: what a point covers; None where each point is one reading.
        starts_at: the beginning of the first step.
        ends_at: the end of the last step, excluded.
        has_sketches: whether there are few enough rows to merge their sketches.
    """

    resolution: Resolution
    step: timedelta | None
    starts_at: datetime
    ends_at: datetime
    has_sketches: bool


def choose(
    since: datetime, until: datetime, *, step_s: float | None, minutes: int, max_points: int
) -> ReadPlan:
    """Return how to read a window.

    Args:
        since: the beginning of the window.
        until: its end.
        step_s: the wanted step; None to choose one for `max_points` points.
        minutes: the rows of the coarsest rollup in the window, from which those of the others are estimated.
        max_points: how many points a chart shows.

    Raises:
        WindowError: the step is too small for the window, or none of the tables has it.
    """
    if step_s is None:
        return _choose_step(since, until, minutes, max_points)
    if (until - since).total_seconds() / step_s > MAX_STEPS:
        raise WindowError(
            f"`step` must be at least {(until - since).total_seconds() / MAX_STEPS:.1f} for this window"
        )
    for rollup_s in sorted(_NAMES, reverse=True):
        if step_s % rollup_s == 0 and (rollup_s == 60 or _rows(minutes, rollup_s) <= MAX_ROWS):  # noqa: PLR2004
            return _aligned(_NAMES[rollup_s], step_s, since, until, _rows(minutes, rollup_s))
    if step_s >= 1 and step_s.is_integer():
        raise WindowError("the window has too many readings for this `step`: use a multiple of 60")
    if until - since > RAW_MAX:
        raise WindowError(
            f"a `step` that is no whole number of seconds reads single readings: the window may have at most "
            f"{RAW_MAX.total_seconds():.0f} s, or use whole seconds"
        )
    return _aligned("raw", step_s, since, until, 0)


def _choose_step(since: datetime, until: datetime, minutes: int, max_points: int) -> ReadPlan:
    wanted = max_points * _OVERSAMPLING
    span_s = (until - since).total_seconds()
    if until - since <= RAW_MAX and minutes * _READINGS_PER_MINUTE <= wanted:
        return ReadPlan("raw", None, since, until, has_sketches=False)
    for rollup in ROLLUPS:
        rollup_s = int(rollup.step.total_seconds())
        if span_s / rollup_s <= wanted and _rows(minutes, rollup_s) <= SKETCHED_ROWS:
            return _aligned(_NAMES[rollup_s], rollup_s, since, until, _rows(minutes, rollup_s))
    step_s = next((each for each in _NICE_STEPS_S if span_s / each <= wanted), _NICE_STEPS_S[-1])
    return _aligned("1m", step_s, since, until, minutes)


def _rows(minutes: int, rollup_s: int) -> int:
    """Return about how many rows a rollup has where the coarsest has `minutes`."""
    return minutes * 60 // rollup_s


def _aligned(resolution: Resolution, step_s: float, since: datetime, until: datetime, rows: int) -> ReadPlan:
    """Return a plan whose window begins and ends with a step; steps begin at 1970-01-01 UTC."""
    step = timedelta(seconds=step_s)
    starts_at = since - (since - _EPOCH) % step
    ends_at = until + (_EPOCH - until) % step
    return ReadPlan(resolution, step, starts_at, ends_at, has_sketches=rows <= SKETCHED_ROWS)
