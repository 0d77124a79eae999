"""Draws the timeline of a deployment as PNG: one row per device, one bar per step, one line per activation."""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from k1_cli.deployments.timeline.canvas import Canvas
from k1_cli.deployments.timeline.layout import Bar, BarStyle, BatchActivation, Row, Timeline, lay_out
from k1_cli.output.files import write_output
from k1_cli.output.formatting import cut_middle, display_name
from k1_contracts.messages.deploy.deployment_queries import DeploymentView

_WIDTH, _LEFT, _RIGHT, _EDGE = 13.0, 2.35, 1.55, 0.3
_TITLE, _LEGEND, _ACTIVATION_HEIGHT, _MARKS, _TICKS, _LINE = 0.98, 0.34, 0.2, 0.24, 0.42, 0.2
_LANE, _ROW_GAP, _BAR_GAP = 0.2, 0.08, 0.015
_MIN_BAR_WIDTH = 0.035
_LETTER_WIDTH = 0.075
"""The approximate width of a small letter."""
_MAX_TICKS = 12
_MAX_LINE, _MAX_TITLE, _MAX_LABEL = 140, 90, 17
_INK, _SOFT, _FAINT, _PAPER, _BAND = "#1c1b22", "#6d6a7c", "#dcdae4", "#fbfbfd", "#f1f0f6"
_ACTIVATION_COLOUR = "#7a3fd1"
_GREEN, _RED, _ORANGE, _BLUE = "#2f9a58", "#d6323f", "#c9790f", "#2a62c9"
_BARS: Final[dict[BarStyle, str]] = {
    "check": "#b9c4d6",
    "stage": "#7db4ea",
    "activate": _BLUE,
    "verify": "#5fc3b4",
    "observe": "#bfe5c9",
    "commit": _GREEN,
    "discard": "#d8c3a5",
    "rollback": "#f0a03c",
    "failed": _RED,
    "running": "#fff3c4",
}
_HATCHES: Final = {"failed": ("////", "#e2606a"), "running": ("....", "#e6bf4d")}
_OUTCOME_COLOURS: Final = {
    "succeeded": _GREEN,
    "committed": _GREEN,
    "active": _BLUE,
    "failed": _RED,
    "blocked": _RED,
    "rollback_pending": _RED,
    "rolled_back": _ORANGE,
    "rolling_back": _ORANGE,
}


def draw_timeline(view: DeploymentView, title: str) -> bytes:
    """Return the picture of a deployment as PNG, also while it runs; `title` is that of the song."""
    return _Picture(view, title).draw()


def write_timeline(view: DeploymentView, title: str, path: Path) -> None:
    """Write the picture to a PNG file.

    Raises:
        CommandError: the file cannot be written.
    """
    write_output(path, draw_timeline(view, title))


class _Picture:
    """One picture; coordinates are inches from the upper left corner."""

    def __init__(self, view: DeploymentView, title: str) -> None:
        self._view = view
        self._timeline: Timeline = lay_out(view, title)
        self._levels = list(_levels(self._timeline.activations, self._x))
        self._top = _TITLE + _LEGEND + _ACTIVATION_HEIGHT * (1 + max(self._levels, default=0)) + _MARKS
        self._bottom = self._top + sum(_height(row) for row in self._timeline.rows)
        height = self._bottom + _TICKS + _LINE * len(self._timeline.marks) + _EDGE
        self._canvas = Canvas(_WIDTH, height, _PAPER)

    def draw(self) -> bytes:
        """Draw everything and return the PNG."""
        self._draw_headline()
        self._draw_legend()
        self._draw_rows()
        self._draw_ticks()
        self._draw_activations()
        self._draw_log()
        return self._canvas.png()

    def _place(self, place: float) -> float:
        return _LEFT + place / (self._timeline.axis.length or 1.0) * (_WIDTH - _LEFT - _RIGHT)

    def _x(self, seconds: float) -> float:
        return self._place(self._timeline.axis.place(seconds))

    def _draw_headline(self) -> None:
        colour = _OUTCOME_COLOURS.get(self._view.status, _INK)
        self._canvas.box((0, 0), (_WIDTH, 0.07), colour, round_by=0)
        self._canvas.text((_EDGE, 0.35), _cut(self._timeline.title, _MAX_TITLE), 15, _INK, bold=True)
        for number, line in enumerate(self._timeline.subtitle.split("\n")[:2]):
            y = 0.62 + 0.22 * number
            self._canvas.text((_EDGE, y), _cut(line), 9.5, colour if number else _SOFT)

    def _draw_legend(self) -> None:
        used = {bar.style for row in self._timeline.rows for bar in row.bars}
        x, y = _LEFT, _TITLE + _LEGEND / 2
        for style in _BARS:
            if style in used:
                self._draw_bar(style, (x, y - 0.06), (0.2, 0.12))
                self._canvas.text((x + 0.26, y), style, 8.5, _SOFT)
                x += 0.45 + _LETTER_WIDTH * len(style)

    def _draw_rows(self) -> None:
        y = self._top
        for number, (batch, rows) in enumerate(groupby(self._timeline.rows, key=lambda row: row.batch)):
            members = list(rows)
            if number % 2 == 0:
                size = (_WIDTH - 2 * _EDGE, sum(_height(row) for row in members))
                self._canvas.box((_EDGE, y), size, _BAND)
            place = (_EDGE + 0.08, y + _height(members[0]) / 2)
            self._canvas.text(place, self._timeline.batch_names.get(batch, ""), 8, _SOFT)
            for row in members:
                self._draw_row(row, y)
                y += _height(row)

    def _draw_row(self, row: Row, y: float) -> None:
        middle = y + _height(row) / 2
        self._canvas.text((_LEFT - 0.12, middle), cut_middle(row.label, _MAX_LABEL), 8.5, _INK, align="right")
        outcome = display_name(row.outcome)
        self._canvas.text(
            (_WIDTH - _RIGHT + 0.12, middle), outcome, 8.5, _OUTCOME_COLOURS.get(row.outcome, _SOFT)
        )
        # Draw short bars last, so that no long one hides them.
        for bar in sorted(row.bars, key=lambda bar: bar.start - bar.end):
            left = self._x(bar.start)
            top = y + _ROW_GAP / 2 + bar.lane * _LANE + _BAR_GAP
            size = (max(self._x(bar.end) - left, _MIN_BAR_WIDTH), _LANE - 2 * _BAR_GAP)
            self._draw_bar(bar.style, (left, top), size)
            self._draw_step_label(bar, (left, top), size)

    def _draw_bar(self, style: BarStyle, corner: tuple[float, float], size: tuple[float, float]) -> None:
        hatch, edge = _HATCHES.get(style, (None, None))
        self._canvas.box(corner, size, _BARS[style], edge=edge, hatch=hatch, layer=3)

    def _draw_step_label(self, bar: Bar, corner: tuple[float, float], size: tuple[float, float]) -> None:
        """Draw the name of a step that failed or runs, because its colour does not show which step it is."""
        if bar.style != bar.step and size[0] > _LETTER_WIDTH * (len(bar.step) + 1):
            middle = (corner[0] + size[0] / 2, corner[1] + size[1] / 2)
            colour = "#ffffff" if bar.style == "failed" else _INK
            self._canvas.text(middle, bar.step, 7, colour, align="center", bold=True)

    def _draw_ticks(self) -> None:
        gaps = [(self._x(gap.start) + self._x(gap.end)) / 2 for gap in self._timeline.axis.gaps]
        for place, label in self._timeline.axis.ticks(_MAX_TICKS):
            x = self._place(place)
            self._canvas.line(x, top=self._top, bottom=self._bottom, colour=_FAINT)
            if all(abs(x - gap) > _LETTER_WIDTH * len(label) for gap in gaps):
                self._canvas.text((x, self._bottom + 0.16), label, 8, _SOFT, align="center")
        for x in gaps:
            size = (0.08, self._bottom - self._top)
            self._canvas.box((x - 0.04, self._top), size, _PAPER, round_by=0, layer=4)
            self._canvas.text((x, self._bottom + 0.16), "//", 9, _SOFT, align="center")

    def _draw_activations(self) -> None:
        for activation, level in zip(self._timeline.activations, self._levels, strict=True):
            x, y = self._x(activation.at), self._top - _MARKS - _ACTIVATION_HEIGHT * (level + 0.5)
            self._canvas.line(x, top=y, bottom=self._bottom, colour=_ACTIVATION_COLOUR, width=1.3, layer=6)
            beyond = x + 0.05 + _LETTER_WIDTH * len(activation.label) > _WIDTH - _EDGE
            place = (x - 0.05 if beyond else x + 0.05, y)
            align = "right" if beyond else "left"
            self._canvas.text(place, activation.label, 8, _ACTIVATION_COLOUR, align=align)

    def _draw_log(self) -> None:
        y, free_from = self._top - _MARKS / 2, 0.0
        for index, mark in enumerate(self._timeline.marks):
            x = self._x(mark.at)
            self._canvas.line(x, top=y + 0.06, bottom=self._top, colour=_SOFT, layer=2)
            if x >= free_from:
                # Numbers that would overlap are printed in the list only.
                self._canvas.text((x, y), str(mark.number), 7.5, _SOFT, align="center", bold=True)
                free_from = x + 2.2 * _LETTER_WIDTH
            line = self._bottom + _TICKS + _LINE * (index + 0.5)
            self._canvas.text((_LEFT - 0.12, line), str(mark.number), 8, _SOFT, align="right", bold=True)
            self._canvas.text((_LEFT, line), mark.clock, 8, _SOFT)
            self._canvas.text((_LEFT + 0.85, line), _cut(mark.text), 8, _INK)


def _height(row: Row) -> float:
    return row.lanes * _LANE + _ROW_GAP


def _cut(text: str, longest: int = _MAX_LINE) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _levels(activations: tuple[BatchActivation, ...], x_of: Callable[[float], float]) -> Iterator[int]:
    """Yield the level of each label, so that no label covers another."""
    free_from: list[float] = []
    for activation in activations:
        x = x_of(activation.at)
        level = next((n for n, free in enumerate(free_from) if free <= x), len(free_from))
        free_from[level:] = [x + 0.15 + _LETTER_WIDTH * len(activation.label), *free_from[level + 1 :]]
        yield level
