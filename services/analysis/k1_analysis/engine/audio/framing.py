"""Sample rate, hop and frame rate that all features share, and the cutting of samples into frames.

Frame `i` of a feature is centred on sample `i * HOP`, so its time is `i / FRAME_RATE_HZ` seconds.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 44_100
HOP = 441
WINDOW = 2048
FRAME_RATE_HZ = 100

Floats = NDArray[np.float32]
"""Samples and features are float32 throughout: half the memory of float64 and precise enough."""
Seconds = NDArray[np.float64]
"""Times in seconds from the first decoded sample."""
_INITIAL_ROWS = 1 << 17
"""Rows of 20 minutes. Memory that is not written to costs nothing."""


class RowBuffer:
    """Collects rows block by block. Joining a list of blocks at the end would need twice the memory."""

    def __init__(self, columns: int) -> None:
        self._rows = np.empty((_INITIAL_ROWS, columns), np.float32)
        self._used = 0

    def append(self, block: Floats) -> None:
        """Copy the (n, columns) rows to the end."""
        needed = self._used + len(block)
        if needed > len(self._rows):
            self._rows.resize((needed + _INITIAL_ROWS, self._rows.shape[1]), refcheck=False)
        self._rows[self._used : needed] = block
        self._used = needed

    def finish(self) -> Floats:
        """Return the (N, columns) rows that were appended; the buffer cannot be used again."""
        rows = self._rows[: self._used]
        del self._rows
        return rows


class FrameCutter:
    """Cuts a stream of samples into overlapping windows, zeros beyond both ends of the stream.

    Only the samples of one block of windows are kept, so the memory does not grow with the song.
    """

    def __init__(self, window: int, hop: int, block: int) -> None:
        self._window, self._hop, self._block = window, hop, block
        self._pending = np.zeros(window // 2, np.float32)
        self._received = 0
        self._cut = 0

    def push(self, samples: Floats) -> Iterator[Floats]:
        """Yield `(block, window)` arrays, as many as are complete."""
        self._received += len(samples)
        self._pending = np.concatenate([self._pending, samples])
        needed = (self._block - 1) * self._hop + self._window
        while len(self._pending) >= needed:
            yield self._take(self._block)

    def finish(self) -> Iterator[Floats]:
        """Yield the rest; the last window is centred on or before the last sample."""
        self._pending = np.pad(self._pending, (0, self._window))
        while left := 1 + self._received // self._hop - self._cut:
            yield self._take(min(left, self._block))

    def _take(self, count: int) -> Floats:
        span = (count - 1) * self._hop + self._window
        windows = np.lib.stride_tricks.sliding_window_view(self._pending[:span], self._window)[:: self._hop]
        self._pending = self._pending[count * self._hop :]
        self._cut += count
        return windows
