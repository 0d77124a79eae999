"""`k1 deploy --watch`: a deployment drawn live in the terminal, a row a device."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from k1_cli.board import OVER, Board, DeviceRow, describe_failure
from k1_cli.formatting import display_name
from k1_cli.grid import Grid
from k1_contracts.escaping import escape_controls
from k1_contracts.messages.deployments import DeviceOutcome, StepName, StepView

MOST_ROWS: Final = 40
_MOST_TROUBLED: Final = 15
_COLUMNS: Final[tuple[StepName, ...]] = ("check", "stage", "activate", "verify", "observe", "commit")
_HEADS: Final = ("check", "stage", "activ.", "verify", "obs.", "commit")
"""Of these columns: 80 characters must do."""
_BACK: Final[tuple[StepName, ...]] = ("rollback", "discard")
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
_TROUBLED: Final[frozenset[DeviceOutcome]] = frozenset({"failed", "blocked", "rollback_pending"})
_DONE: Final[frozenset[DeviceOutcome]] = frozenset({"committed", "rolled_back", "discarded", *_TROUBLED})


def render(board: Board, now: datetime) -> RenderableType:
    """Status, counts, devices and the newest lines of the log."""
    few = len(board.rows) <= MOST_ROWS
    devices = _device_table(list(board.rows.values())) if few else _batch_table(board)
    return Group(_headline(board, now), _counts(board), devices, *_tail(board))


def sentence(board: Board) -> str:
    """How it ended, for a person: the status, the reason, and each device that is not as it should be."""
    view = board.view
    counts = ", ".join(f"{count} {display_name(outcome)}" for outcome, count in sorted(board.counts.items()))
    reason = f": {view.reason}" if view.reason else ""
    troubled = "".join(f"\n  {_trouble(row)}" for row in board.rows.values() if _is_troubled(row))
    return f"{view.id} {display_name(board.status)}{reason} ({counts}){troubled}"


def _is_troubled(row: DeviceRow) -> bool:
    """A step alone may have failed because another device's failure cut it off."""
    return row.outcome in _TROUBLED or row.reason is not None


def _trouble(row: DeviceRow) -> str:
    """`k1-07 rolled back: activate failed: no answer`."""
    failed = [step for step in row.steps.values() if step.status == "failed"]
    why = "; ".join(map(describe_failure, failed)) or row.reason
    return f"{row.device_id} {display_name(row.outcome)}{f': {why}' if why else ''}"


def _headline(board: Board, now: datetime) -> Group:
    view = board.view
    end = view.ended_at or now
    text = Text(f"{escape_controls(board.title)} version {view.version}  ", no_wrap=False, overflow="fold")
    text.append(display_name(board.status), style=_COLOURS.get(board.status, "bold yellow"))
    text.append("  paused" if board.paused else "", style="bold yellow")
    text.append(f"  {max((end - view.created_at).total_seconds(), 0):.0f} s", style="dim")
    if board.status == "queued" and view.waits_for:
        text.append(f"  waits for {', '.join(view.waits_for)}", style="yellow")
    reason = [_wrapped(view.reason)] if view.reason and board.status in OVER else []
    return Group(text, *reason)


def _counts(board: Board) -> Table:
    counts = board.counts
    done = sum(counts[outcome] for outcome in _DONE)
    line = Text()
    for outcome, count in sorted(counts.items()):
        line.append(f"{count} {display_name(outcome)}  ", style=_COLOURS.get(outcome, "yellow"))
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=max(len(board.rows), 1), completed=done, width=30), line)
    return grid


def _device_table(rows: list[DeviceRow]) -> Grid:
    heads = "device", "batch", *_HEADS, "back", "now"
    table = Grid(heads, flexible=("device",), middle=("device",), between=1)
    for row in rows:
        steps = [_cell(row.steps.get(step), row.percent) for step in _COLUMNS]
        back = next((row.steps[step] for step in _BACK if step in row.steps), None)
        outcome = Text(display_name(row.outcome), style=_COLOURS.get(row.outcome, "yellow"))
        batch = str(row.batch) if row.batch else "-"
        table.add(row.device_id, batch, *steps, _cell(back, None), outcome, note=row.reason or "")
    return table


def _batch_table(board: Board) -> Group:
    """Too many devices for a row each: one a batch, and those in trouble."""
    table = Grid(("batch", "devices", "now"), flexible=("now",), right=("devices",))
    for batch, rows in _by_batch(board):
        counts = sorted(Counter(row.outcome for row in rows).items())
        line = "  ".join(f"{count} {display_name(outcome)}" for outcome, count in counts)
        table.add(str(batch) if batch else "-", str(len(rows)), line)
    troubled = [row for row in board.rows.values() if row.outcome in _TROUBLED]
    more = len(troubled) - _MOST_TROUBLED
    note = [Text(f"and {more} more", style="red")] if more > 0 else []
    return Group(table, *([_device_table(troubled[:_MOST_TROUBLED])] if troubled else []), *note)


def _by_batch(board: Board) -> Iterator[tuple[int, list[DeviceRow]]]:
    batches: dict[int, list[DeviceRow]] = {}
    for row in board.rows.values():
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


def _tail(board: Board) -> list[Text]:
    return [_wrapped(line, "dim") for line in board.tail]


def _wrapped(line: str, style: str = "") -> Text:
    """Shown whole: the live view would cut a line at the edge of the screen."""
    return Text(escape_controls(line), style=style, no_wrap=False, overflow="fold")
