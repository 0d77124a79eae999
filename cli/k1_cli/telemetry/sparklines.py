"""Draws the newest readings of a device as lines of block characters; pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from k1_contracts.escaping import escape_controls
from k1_contracts.messages.telemetry import LiveSample


@dataclass(frozen=True, slots=True)
class LiveValue:
    """How a value of a live sample is shown."""

    label: str
    unit: str
    least_range: float
    """A sparkline covers at least this much, so that noise looks like noise."""


VALUES: Final = {
    "drift_ms": LiveValue("drift", "ms", 20),
    "cpu_pct": LiveValue("CPU", "%", 20),
    "temp_c": LiveValue("temperature", "°C", 5),
    "fps": LiveValue("frame rate", "fps", 10),
}
"""The values of a live sample."""
_MIN_WIDTH: Final = 10
SILENT_S: Final = 5.0
"""After this long without a reading a device counts as silent."""
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_TAIL_WIDTH: Final = 21
_KEPT: Final = 600
"""A minute at ten readings a second."""


def sparkline(values: Sequence[float], width: int, least_range: float = 0.0) -> str:
    """Return at most `width` blocks, newest at the right; each shows the value of its part that is farthest from 0.

    The scale reaches from the smallest to the largest of these values, or over `least_range` around them.
    """
    if not values or width < 1:
        return ""
    shown = min(width, len(values))
    edges = [index * len(values) // shown for index in range(shown + 1)]
    parts = [max(values[start:end], key=abs) for start, end in pairwise(edges)]
    low, high = min(parts), max(parts)
    if high - low < least_range:
        middle = (low + high) / 2
        low, high = middle - least_range / 2, middle + least_range / 2
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

    def title(self, device_id: str, silence_s: float) -> str:
        """Return what the device does: what it plays, an error, and for how long it has sent nothing."""
        if not self.samples:
            return f"{device_id}: no readings yet"
        newest = self.samples[-1]
        doing = f"plays {newest.track_id}" if newest.track_id else "plays nothing"
        error = f", error: {escape_controls(newest.error)}" if newest.error else ""
        silence = f", silent for {silence_s:.0f} s" if silence_s >= SILENT_S else ""
        return f"{device_id}: {doing}{error}{silence}"

    def lines(self, width: int) -> list[str]:
        """Return a line for each value: name, newest value, sparkline that grows from the right, range."""
        return [self._line(name, value, width) for name, value in VALUES.items()]

    def _line(self, name: str, value: LiveValue, width: int) -> str:
        values: list[float] = [getattr(sample, name) for sample in self.samples]
        if not values:
            return value.label
        head = f"{value.label:<11} {values[-1]:>8.1f} {value.unit:<3}  "
        tail = f"  {min(values):>7.1f} to {max(values):.1f}"
        room = max(_MIN_WIDTH, width - len(head) - _TAIL_WIDTH)
        return f"{head}{sparkline(values, room, value.least_range):>{room}}{tail}"


def reading_line(sample: LiveSample) -> str:
    """Return one reading as a line of a log."""
    values = ", ".join(f"{name} {getattr(sample, name):.1f}" for name in VALUES)
    error = f", error: {sample.error}" if sample.error else ""
    return f"{sample.timestamp:%H:%M:%S} {values}{error}"
