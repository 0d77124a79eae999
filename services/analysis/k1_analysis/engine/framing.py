"""The engine's common clock: sample rate, hop and frame rate of every frame-wise feature.

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


def frame_count(samples: int, hop: int) -> int:
    """Frames whose centre lies on or before the last of `samples` samples."""
    return 1 + samples // hop


def frames(samples: Floats, window: int, hop: int, block: int) -> Iterator[tuple[int, Floats]]:
    """Yield `(first_frame, (<= block, window) float32)` with zeros beyond both ends.

    Only one block is ever padded or copied, so the memory does not grow with the song.
    """
    total = frame_count(len(samples), hop)
    for first in range(0, total, block):
        last = min(first + block, total)
        start = first * hop - window // 2
        stop = (last - 1) * hop - window // 2 + window
        chunk = samples[max(0, start) : min(len(samples), stop)]
        padded = np.pad(chunk, (max(0, -start), max(0, stop - len(samples))))
        yield first, np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
