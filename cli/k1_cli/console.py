"""Output: results go to standard output, everything about them to standard error."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

results = Console(highlight=False, soft_wrap=True)
messages = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document for a script: compact, UTF-8, no colours, on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def progress_bar() -> Progress:
    """A bar in percent with the name of what happens; silent where no person watches."""
    return Progress(
        TextColumn("{task.description}", justify="left"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    )
