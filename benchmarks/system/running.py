"""A running system to measure, and how figures are told."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from k1_cli.stack.running_stack import RunningStack, require_stack


def k1(*arguments: str) -> str:
    """Run a `k1` command and return what it printed."""
    command = [sys.executable, "-m", "k1_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextmanager
def system(home: Path) -> Iterator[RunningStack]:
    """`k1 up --detach` for as long as this lasts."""
    k1("up", "--detach", "--sim-devices", "0", "--home", str(home))
    try:
        yield require_stack(home)
    finally:
        k1("down", "--home", str(home))


def p95(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


def spread(values: Sequence[float]) -> str:
    """Median and range, in the values' own unit."""
    return f"{median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)
