"""Draws the timeline of a deployment as PNG: a row a device, a bar a step, a line where each batch changed."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final

from k1_cli.formatting import cut_middle, display_name
from k1_cli.timeline.layout import Bar, Moment, Row, Timeline, Tone, lay_out
from k1_cli.timeline.sheet import Sheet
from k1_contracts.messages.deployment_queries import DeploymentView

_WIDTH, _LEFT, _RIGHT, _EDGE = 13.0, 2.35, 1.55, 0.3
_TITLE, _LEGEND, _MOMENT, _MARKS, _TICKS, _LINE = 0.98, 0.34, 0.2, 0.24, 0.42, 0.2
_LANE, _ROW_GAP, _BAR_GAP = 0.2, 0.08, 0.015
_LEAST_BAR = 0.035
_LETTER = 0.075
"""About the width of a small letter."""
_MOST_TICKS = 12
_LONGEST_LINE, _LONGEST_TITLE, _LONGEST_LABEL = 140, 90, 17
_INK, _SOFT, _FAINT, _PAPER, _BAND = "#1c1b22", "#6d6a7c", "#dcdae4", "#fbfbfd", "#f1f0f6"
_MOMENT_COLOUR = "#7a3fd1"
_GREEN, _RED, _ORANGE, _BLUE = "#2f9a58", "#d6323f", "#c9790f", "#2a62c9"
_BARS: Final[dict[Tone, str]] = {
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
_WORDS: Final = {
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
    """The deployment as PNG, also while it runs; `title` is that of the song."""
    return _Picture(view, title).draw()


class _Picture:
    """One picture; everything is in inches from the left upper corner."""

    def __init__(self, view: DeploymentView, title: str) -> None:
        self._view = view
        self._timeline: Timeline = lay_out(view, title)
        self._levels = list(_levels(self._timeline.moments, self._x))
        self._top = _TITLE + _LEGEND + _MOMENT * (1 + max(self._levels, default=0)) + _MARKS
        self._bottom = self._top + sum(_height(row) for row in self._timeline.rows)
        height = self._bottom + _TICKS + _LINE * len(self._timeline.marks) + _EDGE
        self._sheet = Sheet(_WIDTH, height, _PAPER)

    def draw(self) -> bytes:
        """All of it."""
        self._headline()
        self._legend()
        self._rows()
        self._ticks()
        self._moments()
        self._log()
        return self._sheet.png()

    def _place(self, place: float) -> float:
        return _LEFT + place / (self._timeline.axis.length or 1.0) * (_WIDTH - _LEFT - _RIGHT)

    def _x(self, seconds: float) -> float:
        return self._place(self._timeline.axis.place(seconds))

    def _headline(self) -> None:
        colour = _WORDS.get(self._view.status, _INK)
        self._sheet.box((0, 0), (_WIDTH, 0.07), colour, round_by=0)
        self._sheet.text((_EDGE, 0.35), _cut(self._timeline.title, _LONGEST_TITLE), 15, _INK, bold=True)
        for number, line in enumerate(self._timeline.subtitle.split("\n")[:2]):
            y = 0.62 + 0.22 * number
            self._sheet.text((_EDGE, y), _cut(line), 9.5, colour if number else _SOFT)

    def _legend(self) -> None:
        used = {bar.tone for row in self._timeline.rows for bar in row.bars}
        x, y = _LEFT, _TITLE + _LEGEND / 2
        for tone in _BARS:
            if tone in used:
                self._bar(tone, (x, y - 0.06), (0.2, 0.12))
                self._sheet.text((x + 0.26, y), tone, 8.5, _SOFT)
                x += 0.45 + _LETTER * len(tone)

    def _rows(self) -> None:
        y = self._top
        for number, (batch, rows) in enumerate(groupby(self._timeline.rows, key=lambda row: row.batch)):
            members = list(rows)
            if number % 2 == 0:
                size = (_WIDTH - 2 * _EDGE, sum(_height(row) for row in members))
                self._sheet.box((_EDGE, y), size, _BAND)
            place = (_EDGE + 0.08, y + _height(members[0]) / 2)
            self._sheet.text(place, self._timeline.batch_names.get(batch, ""), 8, _SOFT)
            for row in members:
                self._row(row, y)
                y += _height(row)

    def _row(self, row: Row, y: float) -> None:
        middle = y + _height(row) / 2
        self._sheet.text(
            (_LEFT - 0.12, middle), cut_middle(row.label, _LONGEST_LABEL), 8.5, _INK, align="right"
        )
        outcome = display_name(row.outcome)
        self._sheet.text((_WIDTH - _RIGHT + 0.12, middle), outcome, 8.5, _WORDS.get(row.outcome, _SOFT))
        # Short bars last, so that a long one beside them does not hide them.
        for bar in sorted(row.bars, key=lambda bar: bar.start - bar.end):
            left = self._x(bar.start)
            top = y + _ROW_GAP / 2 + bar.lane * _LANE + _BAR_GAP
            size = (max(self._x(bar.end) - left, _LEAST_BAR), _LANE - 2 * _BAR_GAP)
            self._bar(bar.tone, (left, top), size)
            self._say_step(bar, (left, top), size)

    def _bar(self, tone: Tone, corner: tuple[float, float], size: tuple[float, float]) -> None:
        hatch, edge = _HATCHES.get(tone, (None, None))
        self._sheet.box(corner, size, _BARS[tone], edge=edge, hatch=hatch, layer=3)

    def _say_step(self, bar: Bar, corner: tuple[float, float], size: tuple[float, float]) -> None:
        """The colour of a step that failed or runs does not tell which one it is."""
        if bar.tone != bar.step and size[0] > _LETTER * (len(bar.step) + 1):
            middle = (corner[0] + size[0] / 2, corner[1] + size[1] / 2)
            colour = "#ffffff" if bar.tone == "failed" else _INK
            self._sheet.text(middle, bar.step, 7, colour, align="center", bold=True)

    def _ticks(self) -> None:
        gaps = [(self._x(gap.start) + self._x(gap.end)) / 2 for gap in self._timeline.axis.gaps]
        for place, label in self._timeline.axis.ticks(_MOST_TICKS):
            x = self._place(place)
            self._sheet.line(x, top=self._top, bottom=self._bottom, colour=_FAINT)
            if all(abs(x - gap) > _LETTER * len(label) for gap in gaps):
                self._sheet.text((x, self._bottom + 0.16), label, 8, _SOFT, align="center")
        for x in gaps:
            size = (0.08, self._bottom - self._top)
            self._sheet.box((x - 0.04, self._top), size, _PAPER, round_by=0, layer=4)
            self._sheet.text((x, self._bottom + 0.16), "//", 9, _SOFT, align="center")

    def _moments(self) -> None:
        for moment, level in zip(self._timeline.moments, self._levels, strict=True):
            x, y = self._x(moment.at), self._top - _MARKS - _MOMENT * (level + 0.5)
            self._sheet.line(x, top=y, bottom=self._bottom, colour=_MOMENT_COLOUR, width=1.3, layer=6)
            beyond = x + 0.05 + _LETTER * len(moment.label) > _WIDTH - _EDGE
            place = (x - 0.05 if beyond else x + 0.05, y)
            align = "right" if beyond else "left"
            self._sheet.text(place, moment.label, 8, _MOMENT_COLOUR, align=align)

    def _log(self) -> None:
        y, free_from = self._top - _MARKS / 2, 0.0
        for index, mark in enumerate(self._timeline.marks):
            x = self._x(mark.at)
            self._sheet.line(x, top=y + 0.06, bottom=self._top, colour=_SOFT, layer=2)
            if x >= free_from:
                # Those that would cover it stand in the list only.
                self._sheet.text((x, y), str(mark.number), 7.5, _SOFT, align="center", bold=True)
                free_from = x + 2.2 * _LETTER
            line = self._bottom + _TICKS + _LINE * (index + 0.5)
            self._sheet.text((_LEFT - 0.12, line), str(mark.number), 8, _SOFT, align="right", bold=True)
            self._sheet.text((_LEFT, line), mark.clock, 8, _SOFT)
            self._sheet.text((_LEFT + 0.85, line), _cut(mark.text), 8, _INK)


def _height(row: Row) -> float:
    return row.lanes * _LANE + _ROW_GAP


def _cut(text: str, longest: int = _LONGEST_LINE) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _levels(moments: tuple[Moment, ...], x_of: Callable[[float], float]) -> Iterator[int]:
    """How high each label stands, so that none covers another."""
    free_from: list[float] = []
    for moment in moments:
        x = x_of(moment.at)
        level = next((n for n, free in enumerate(free_from) if free <= x), len(free_from))
        free_from[level:] = [x + 0.15 + _LETTER * len(moment.label), *free_from[level + 1 :]]
        yield level
