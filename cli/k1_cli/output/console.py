"""Output: results go to standard output, everything about them to standard error.

Both consoles show every text as it is. What rich would read as markup (`[/x]`), as an emoji code (`:smile:`) or pass
on to the terminal as a control sequence is text from outside more often than not, so no call can turn that on: colours
are given as `rich.text.Text` with a style.
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
    """A console on which text is shown, never interpreted."""

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
        """Make a string renderable: whatever a caller asks for, there is no markup and no emoji code in it."""
        kept = {name: value for name, value in options.items() if name in {"style", "justify", "overflow"}}
        return super().render_str(escape_controls(text, keep_lines=True), markup=False, emoji=False, **kept)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything; a text that was built elsewhere gets no control character through either."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(escape_controls(segment.text, keep_lines=True), segment.style)


results = LiteralConsole()
messages = LiteralConsole(stderr=True)


def accept_any_text() -> None:
    """Let standard output and error take what their encoding lacks, as an escape; otherwise printing it raises."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: Any) -> None:
    """Print one JSON document for a script: compact, UTF-8, no colours, on standard output."""
    sys.stdout.write(to_safe_json(value) + "\n")


def print_written(path: Path) -> None:
    """Say that a file was written."""
    messages.print(f"wrote {path}")


def progress_bar() -> Progress:
    """A bar in percent with the name of what happens; silent where no person watches."""
    return Progress(
        TextColumn("{task.description}", justify="left", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    )
