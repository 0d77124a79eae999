"""Computes and formats the figures that the benchmarks print: percentiles, times and Markdown tables."""

import time
from collections.abc import Callable, Iterable, Sequence
from statistics import median, quantiles


def percentile_95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


def median_and_range(values: Sequence[float]) -> str:
    """Return median and range as text, in the unit of the values."""
    return f"{median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows))


def time_call(function: Callable[[], object]) -> float:
    """Call a function and return its wall time in seconds."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
