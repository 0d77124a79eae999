"""Text tables for every command that lists something: never wider than the terminal; through a pipe nothing is cut."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, ConsoleOptions
from rich.text import Text

from k1_cli.output.formatting import cut_middle
from k1_contracts.escaping import escape_controls

_NARROWEST: Final = 8
_INDENT: Final = 2
_ID: Final = re.compile(r"\b[a-z]{3}_[0-9A-Z]{26}\b")
_SHORT_ID: Final = 18
"""Length of a short id in characters: the type, ten of the time and four random ones."""


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[Text, ...]
    note: Text | None


@dataclass
class TextTable:
    """A table without lines.

    Where it is too wide for the terminal, it drops empty columns, shortens ids (every command accepts a prefix) and
    then cuts the cells of the `flexible` columns, the widest first.
    """

    headers: Sequence[str]
    flexible: Sequence[str] = ()
    right_aligned: Sequence[str] = ()
    """Columns of numbers."""
    cut_in_middle: Sequence[str] = ()
    """Columns that are cut in the middle: ids of devices differ at their ends."""
    column_gap: int = 2
    """Spaces between columns."""
    _rows: list[_Row] = field(default_factory=list[_Row], init=False)

    def add(self, *cells: str | Text, note: str = "") -> None:
        """Add a row; the note is printed below it, however long it is."""
        made = tuple(_to_text(cell) for cell in cells)
        assert len(made) == len(self.headers), "one cell per header"
        self._rows.append(_Row(made, _to_text(note) if note else None))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        width = options.max_width if console.is_terminal else None
        headers, rows = self.headers, self._rows
        if width is not None and self._required_width(headers, rows) > width:
            headers, rows = _without_empty(headers, _with_short_ids(rows))
        widths = self._widths(headers, rows, width)
        yield self._line(headers, [Text(header, style="bold") for header in headers], widths)
        for row in rows:
            yield self._line(headers, row.cells, widths)
            if row.note is not None:
                yield from _note_lines(console, row.note, width)

    def _widths(self, headers: Sequence[str], rows: Sequence[_Row], width: int | None) -> list[int]:
        widths = _natural_widths(headers, rows)
        excess = 0 if width is None else self._required_width(headers, rows) - width
        flexible = [number for number, header in enumerate(headers) if header in self.flexible]
        while excess > 0 and flexible:
            widest = max(flexible, key=lambda number: widths[number])
            if widths[widest] <= max(_NARROWEST, len(headers[widest])):
                break
            widths[widest] -= 1
            excess -= 1
        return widths

    def _line(self, headers: Sequence[str], cells: Iterable[Text], widths: Sequence[int]) -> Text:
        fitted = [
            _fit(
                _cut_middle(cell, width) if header in self.cut_in_middle else cell,
                width,
                right=header in self.right_aligned,
            )
            for header, cell, width in zip(headers, cells, widths, strict=True)
        ]
        line = Text(" " * self.column_gap).join(fitted)
        line.rstrip()
        return line

    def _required_width(self, headers: Sequence[str], rows: Sequence[_Row]) -> int:
        return sum(_natural_widths(headers, rows)) + self.column_gap * (len(headers) - 1)


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Return the shortest prefixes, of at least 18 characters, that are unique among these ids."""
    whole = sorted(set(ids))
    length = _SHORT_ID
    while len({name[:length] for name in whole}) < len(whole):
        length += 1
    return {name: name[:length] for name in whole}


def _natural_widths(headers: Sequence[str], rows: Sequence[_Row]) -> list[int]:
    return [
        max([len(header), *(row.cells[number].cell_len for row in rows)])
        for number, header in enumerate(headers)
    ]


def _without_empty(headers: Sequence[str], rows: Sequence[_Row]) -> tuple[Sequence[str], Sequence[_Row]]:
    kept = [number for number in range(len(headers)) if any(row.cells[number].plain for row in rows)]
    narrow = [_Row(tuple(row.cells[number] for number in kept), row.note) for row in rows]
    return [headers[number] for number in kept], narrow


def _with_short_ids(rows: Sequence[_Row]) -> list[_Row]:
    short = short_ids(found for row in rows for cell in row.cells for found in _ID.findall(cell.plain))
    return [_Row(tuple(_shorten(cell, short) for cell in row.cells), row.note) for row in rows]


def _shorten(cell: Text, short: dict[str, str]) -> Text:
    plain = _ID.sub(lambda found: short[found[0]], cell.plain)
    return cell if plain == cell.plain else Text(plain, style=cell.style)


def _to_text(cell: str | Text) -> Text:
    """Return the cell as an escaped text; escaped before it is measured, so that the columns are aligned."""
    if isinstance(cell, str):
        return Text(escape_controls(cell))
    plain = escape_controls(cell.plain)
    return cell if plain == cell.plain else Text(plain, style=cell.style)


def _cut_middle(cell: Text, width: int) -> Text:
    if cell.cell_len <= width:
        return cell
    return Text(cut_middle(cell.plain, width), style=cell.style)


def _fit(cell: Text, width: int, *, right: bool) -> Text:
    fitted = cell.copy()
    fitted.truncate(width, overflow="ellipsis")
    spare = width - fitted.cell_len
    if right:
        fitted.pad_left(spare)
    else:
        fitted.pad_right(spare)
    return fitted


def _note_lines(console: Console, note: Text, width: int | None) -> Iterator[Text]:
    lines = [note] if width is None else note.wrap(console, max(width - _INDENT, _NARROWEST))
    for line in lines:
        shown = line.copy()
        shown.pad_left(_INDENT)
        shown.stylize("dim")
        yield shown
