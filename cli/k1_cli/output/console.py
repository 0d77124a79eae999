"""The two consoles: `results` writes to standard output, `messages` to standard error.

Both print every text literally. Titles, file names and reasons come from outside, so no call can turn on markup
(`[/x]`), emoji codes (`:smile:`) or control sequences. For a colour, pass a `rich.text.Text` with a style.
"""

import sys
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, Literal

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.text import Text
from typing_extensions import override

from k1_contracts.escaping import escape_controls, to_safe_json


class LiteralConsole(Console):
    """A console that prints text and never interprets it."""

    def __init__(
        self,
        *,
        stderr: bool = False,
        file: IO[str] | None = None,
        width: int | None = None,
        force_terminal: bool | None = None,
        color_system: Literal["auto"] | None = "auto",
    ) -> None:
        super().__init__(
            stderr=stderr,
            file=file,
            width=width,
            force_terminal=force_terminal,
            color_system=color_system,
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=True,
        )

    @override
    def render_str(self, text: str, **options: Any) -> Text:
        """Return the string as a text without markup and emoji codes, whatever the caller asks for."""
        kept = {name: value for name, value in options.items() if name in {"style", "justify", "overflow"}}
        return super().render_str(escape_controls(text, keep_lines=True), markup=False, emoji=False, **kept)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of anything renderable, with control characters escaped also in ready-made texts."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(escape_controls(segment.text, keep_lines=True), segment.style)


results = LiteralConsole()
messages = LiteralConsole(stderr=True)


def accept_any_text() -> None:
    """Make standard output and error escape characters that their encoding lacks; otherwise printing them raises."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: Any) -> None:
    """Print one JSON document for a script on standard output: compact, UTF-8, no colours."""
    sys.stdout.write(to_safe_json(value) + "\n")


def print_written(path: Path) -> None:
    """Print that a file was written."""
    messages.print(f"wrote {path}")


def progress_bar() -> Progress:
    """Return a progress bar in percent with a description; it prints nothing where standard error is no terminal."""
    return Progress(
        TextColumn("{task.description}", justify="left", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    )
