"""Renders the live view of a deployment for the terminal, one row per device; for `k1 deploy --watch`."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from k1_cli.deployments.live_view import FINISHED, DeviceRow, LiveView, describe_failure
from k1_cli.output.formatting import display_name
from k1_cli.output.table import TextTable
from k1_contracts.escaping import escape_controls
from k1_contracts.messages.deploy.deployments import DeviceOutcome, StepName, StepView

MAX_ROWS: Final = 40
_MAX_FAILED_ROWS: Final = 15
_COLUMNS: Final[tuple[StepName, ...]] = ("check", "stage", "activate", "verify", "observe", "commit")
_STEP_HEADERS: Final = ("check", "stage", "activ.", "verify", "obs.", "commit")
"""The headers of `_COLUMNS`, short enough for 80 characters."""
_REVERSING_STEPS: Final[tuple[StepName, ...]] = ("rollback", "discard")
_MARKS: Final = {"done": ("✓", "green"), "failed": ("✗", "bold red"), "running": ("●", "yellow")}
_COLOURS: Final[dict[str, str]] = {
    "succeeded": "bold green",
    "committed": "green",
    "active": "cyan",
    "staged": "blue",
    "failed": "bold red",
    "blocked": "red",
    "rolled_back": "bold magenta",
    "rollback_pending": "bold red",
    "rolling_back": "magenta",
    "discarded": "dim",
    "cancelled": "bold",
    "pending": "dim",
}
_FAILED_OUTCOMES: Final[frozenset[DeviceOutcome]] = frozenset({"failed", "blocked", "rollback_pending"})
_FINAL_OUTCOMES: Final[frozenset[DeviceOutcome]] = frozenset(
    {"committed", "rolled_back", "discarded", *_FAILED_OUTCOMES}
)


def render(live: LiveView, now: datetime) -> RenderableType:
    """Return the status, the counts, the devices and the newest lines of the log."""
    few = len(live.rows) <= MAX_ROWS
    devices = _device_table(list(live.rows.values())) if few else _batch_table(live)
    return Group(_headline(live, now), _counts(live), devices, *_log_lines(live))


def describe_end(live: LiveView) -> str:
    """Return how the deployment ended: its status, the reason, and each device that failed, a line each."""
    view = live.view
    counts = ", ".join(f"{count} {display_name(outcome)}" for outcome, count in sorted(live.counts.items()))
    reason = f": {view.reason}" if view.reason else ""
    failed_rows = "".join(
        f"\n  {_describe_failed_row(row)}" for row in live.rows.values() if _has_failed(row)
    )
    return f"{view.id} {display_name(live.status)}{reason} ({counts}){failed_rows}"


def _has_failed(row: DeviceRow) -> bool:
    """Return whether the device failed; a failed step alone may be caused by the failure of another device."""
    return row.outcome in _FAILED_OUTCOMES or row.reason is not None


def _describe_failed_row(row: DeviceRow) -> str:
    """Return for example `k1-07 rolled back: activate failed: no answer`."""
    failed = [step for step in row.steps.values() if step.status == "failed"]
    why = "; ".join(map(describe_failure, failed)) or row.reason
    return f"{row.device_id} {display_name(row.outcome)}{f': {why}' if why else ''}"


def _headline(live: LiveView, now: datetime) -> Group:
    view = live.view
    end = view.ended_at or now
    text = Text(f"{escape_controls(live.title)} version {view.version}  ", no_wrap=False, overflow="fold")
    text.append(display_name(live.status), style=_COLOURS.get(live.status, "bold yellow"))
    text.append("  paused" if live.paused else "", style="bold yellow")
    text.append(f"  {max((end - view.created_at).total_seconds(), 0):.0f} s", style="dim")
    if live.status == "queued" and view.waits_for:
        text.append(f"  waits for {', '.join(view.waits_for)}", style="yellow")
    reason = [_wrapped(view.reason)] if view.reason and live.status in FINISHED else []
    return Group(text, *reason)


def _counts(live: LiveView) -> Table:
    counts = live.counts
    done = sum(counts[outcome] for outcome in _FINAL_OUTCOMES)
    line = Text()
    for outcome, count in sorted(counts.items()):
        line.append(f"{count} {display_name(outcome)}  ", style=_COLOURS.get(outcome, "yellow"))
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=max(len(live.rows), 1), completed=done, width=30), line)
    return grid


def _device_table(rows: list[DeviceRow]) -> TextTable:
    headers = "device", "batch", *_STEP_HEADERS, "back", "now"
    table = TextTable(headers, flexible=("device",), cut_in_middle=("device",), column_gap=1)
    for row in rows:
        steps = [_cell(row.steps.get(step), row.percent) for step in _COLUMNS]
        back = next((row.steps[step] for step in _REVERSING_STEPS if step in row.steps), None)
        outcome = Text(display_name(row.outcome), style=_COLOURS.get(row.outcome, "yellow"))
        batch = str(row.batch) if row.batch else "-"
        table.add(row.device_id, batch, *steps, _cell(back, None), outcome, note=row.reason or "")
    return table


def _batch_table(live: LiveView) -> Group:
    """Return a table with one row per batch and the failed devices; for too many devices for a row each."""
    table = TextTable(("batch", "devices", "now"), flexible=("now",), right_aligned=("devices",))
    for batch, rows in _by_batch(live):
        counts = sorted(Counter(row.outcome for row in rows).items())
        line = "  ".join(f"{count} {display_name(outcome)}" for outcome, count in counts)
        table.add(str(batch) if batch else "-", str(len(rows)), line)
    failed_rows = [row for row in live.rows.values() if row.outcome in _FAILED_OUTCOMES]
    more = len(failed_rows) - _MAX_FAILED_ROWS
    note = [Text(f"and {more} more", style="red")] if more > 0 else []
    return Group(table, *([_device_table(failed_rows[:_MAX_FAILED_ROWS])] if failed_rows else []), *note)


def _by_batch(live: LiveView) -> Iterator[tuple[int, list[DeviceRow]]]:
    batches: dict[int, list[DeviceRow]] = {}
    for row in live.rows.values():
        batches.setdefault(row.batch or 0, []).append(row)
    return iter(sorted(batches.items()))


def _cell(step: StepView | None, percent: float | None) -> Text:
    if step is None:
        return Text("·", style="dim")
    mark, colour = _MARKS[step.status]
    if step.status == "running" and step.step == "stage" and percent is not None:
        mark = f"{percent:.0f} %"
    if step.attempt > 1:
        mark += f" {step.attempt}."
    return Text(mark, style=colour)


def _log_lines(live: LiveView) -> list[Text]:
    return [_wrapped(line, "dim") for line in live.log_tail]


def _wrapped(line: str, style: str = "") -> Text:
    """Return the line as a text that is wrapped: the live view would cut it at the edge of the terminal."""
    return Text(escape_controls(line), style=style, no_wrap=False, overflow="fold")
