"""Tables for the terminal: rows under heads, never wider than the screen; through a pipe nothing is cut short.

For every command that lists something.
"""

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
"""Characters of a short id: the type, ten of the time and four at random."""


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[Text, ...]
    note: Text | None


@dataclass
class Grid:
    """A table without lines.

    Where it is too wide for the screen, empty columns go, ids become short ones, which every command takes, and then
    the cells of the `flexible` columns are cut, the widest first.
    """

    heads: Sequence[str]
    flexible: Sequence[str] = ()
    right: Sequence[str] = ()
    """Columns of numbers."""
    middle: Sequence[str] = ()
    """Columns that are cut in the middle: ids of devices differ in their ends."""
    between: int = 2
    """Blanks between columns."""
    _rows: list[_Row] = field(default_factory=list[_Row], init=False)

    def add(self, *cells: str | Text, note: str = "") -> None:
        """Add a row; the note stands below it, however long it is."""
        made = tuple(_text(cell) for cell in cells)
        assert len(made) == len(self.heads), "one cell a head"
        self._rows.append(_Row(made, _text(note) if note else None))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        width = options.max_width if console.is_terminal else None
        heads, rows = self.heads, self._rows
        if width is not None and self._needed(heads, rows) > width:
            heads, rows = _without_empty(heads, _with_short_ids(rows))
        widths = self._widths(heads, rows, width)
        yield self._line(heads, [Text(head, style="bold") for head in heads], widths)
        for row in rows:
            yield self._line(heads, row.cells, widths)
            if row.note is not None:
                yield from _note_lines(console, row.note, width)

    def _widths(self, heads: Sequence[str], rows: Sequence[_Row], width: int | None) -> list[int]:
        widths = _natural(heads, rows)
        excess = 0 if width is None else self._needed(heads, rows) - width
        flexible = [number for number, head in enumerate(heads) if head in self.flexible]
        while excess > 0 and flexible:
            widest = max(flexible, key=lambda number: widths[number])
            if widths[widest] <= max(_NARROWEST, len(heads[widest])):
                break
            widths[widest] -= 1
            excess -= 1
        return widths

    def _line(self, heads: Sequence[str], cells: Iterable[Text], widths: Sequence[int]) -> Text:
        fitted = [
            _fit(_cut_middle(cell, width) if head in self.middle else cell, width, right=head in self.right)
            for head, cell, width in zip(heads, cells, widths, strict=True)
        ]
        line = Text(" " * self.between).join(fitted)
        line.rstrip()
        return line

    def _needed(self, heads: Sequence[str], rows: Sequence[_Row]) -> int:
        return sum(_natural(heads, rows)) + self.between * (len(heads) - 1)


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Return the shortest prefixes, of at least 18 characters, that are unique among these ids."""
    whole = sorted(set(ids))
    length = _SHORT_ID
    while len({name[:length] for name in whole}) < len(whole):
        length += 1
    return {name: name[:length] for name in whole}


def _natural(heads: Sequence[str], rows: Sequence[_Row]) -> list[int]:
    return [
        max([len(head), *(row.cells[number].cell_len for row in rows)]) for number, head in enumerate(heads)
    ]


def _without_empty(heads: Sequence[str], rows: Sequence[_Row]) -> tuple[Sequence[str], Sequence[_Row]]:
    kept = [number for number in range(len(heads)) if any(row.cells[number].plain for row in rows)]
    narrow = [_Row(tuple(row.cells[number] for number in kept), row.note) for row in rows]
    return [heads[number] for number in kept], narrow


def _with_short_ids(rows: Sequence[_Row]) -> list[_Row]:
    short = short_ids(found for row in rows for cell in row.cells for found in _ID.findall(cell.plain))
    return [_Row(tuple(_shorten(cell, short) for cell in row.cells), row.note) for row in rows]


def _shorten(cell: Text, short: dict[str, str]) -> Text:
    plain = _ID.sub(lambda found: short[found[0]], cell.plain)
    return cell if plain == cell.plain else Text(plain, style=cell.style)


def _text(cell: str | Text) -> Text:
    """Escaped before it is measured, so that the columns stand upright."""
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
