"""Looks up values of curves and neighbours of times, for all stages of the engine."""

import numpy as np

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds


def nearest(sorted_times: Seconds, queries: Seconds) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the index of the element of `sorted_times` (not empty) nearest to each query; of two, the earlier."""
    right = np.searchsorted(sorted_times, queries).clip(1, max(1, len(sorted_times) - 1))
    if len(sorted_times) == 1:
        return np.zeros(len(queries), np.intp)
    closer_left = queries - sorted_times[right - 1] <= sorted_times[right] - queries
    return right - closer_left


def strength_at(beats: Seconds, curve: Floats, reach: int = 3, rate_hz: int = FRAME_RATE_HZ) -> Floats:
    """Return (len(beats),): the greatest value of `curve` within `reach` frames of each beat."""
    frames = np.round(beats * rate_hz).astype(int)
    window = (frames[:, None] + np.arange(-reach, reach + 1)).clip(0, len(curve) - 1)
    return curve[window].max(axis=1) if len(beats) else np.empty(0, np.float32)
