"""Draws the newest readings of a device as lines of block characters; pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from k1_contracts.messages.telemetry import LiveSample

VALUES: Final = {"drift_ms": "ms", "cpu_pct": "%", "temp_c": "°C", "fps": "fps"}
"""The values of a live sample, with their units."""
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_KEPT: Final = 600
"""A minute at ten readings a second."""


def sparkline(values: Sequence[float], width: int) -> str:
    """Return at most `width` blocks, newest at the right; each shows the value of its part that is farthest from 0."""
    if not values or width < 1:
        return ""
    shown = min(width, len(values))
    edges = [index * len(values) // shown for index in range(shown + 1)]
    parts = [max(values[start:end], key=abs) for start, end in pairwise(edges)]
    low, high = min(parts), max(parts)
    if low == high:
        return _BLOCKS[len(_BLOCKS) // 2] * shown
    return "".join(_BLOCKS[round((value - low) / (high - low) * (len(_BLOCKS) - 1))] for value in parts)


@dataclass(slots=True)
class ReadingHistory:
    """The readings of the last minute."""

    samples: deque[LiveSample] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, sample: LiveSample) -> None:
        """Add a reading, the newest."""
        self.samples.append(sample)

    def lines(self, width: int) -> list[str]:
        """Return a line for each value: name, newest value, sparkline, range."""
        return [self._line(name, unit, width) for name, unit in VALUES.items()]

    def _line(self, name: str, unit: str, width: int) -> str:
        values: list[float] = [getattr(sample, name) for sample in self.samples]
        if not values:
            return f"{name:<9} no readings yet"
        head = f"{name:<9} {values[-1]:>8.1f} {unit:<4}"
        tail = f"{min(values):.1f} to {max(values):.1f}"
        return f"{head}{sparkline(values, max(10, width - len(head) - len(tail) - 2))}  {tail}"


def reading_line(sample: LiveSample) -> str:
    """Return one reading as a line of a log."""
    values = ", ".join(f"{name} {getattr(sample, name):.1f}" for name in VALUES)
    error = f", error: {sample.error}" if sample.error else ""
    return f"{sample.timestamp:%H:%M:%S} {values}{error}"
