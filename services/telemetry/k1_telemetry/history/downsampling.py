"""Leaves out the points of a series that a chart does not need; pure.

Largest Triangle Three Buckets keeps the points that shape the line (Steinarsson, "Downsampling Time Series for Visual
Representation", 2013). A point that summarises many readings has a minimum and a maximum: each of the two lines gets
half of the points, so no peak disappears behind an average.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tsdownsample import LTTBDownsampler

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
_lttb: Final = LTTBDownsampler()
_LEAST: Final = 3
"""LTTB keeps the first and the last point and at least one between them."""


def chart_indices(times: Floats, low: Floats, high: Floats, max_points: int) -> Indices:
    """Return the rising indices of at most `max_points` points; `low` and `high` are the two lines of the chart."""
    if len(times) <= max_points:
        return np.arange(len(times))
    if np.array_equal(low, high):
        return _select(times, low, max_points)
    half = max(max_points // 2, _LEAST)
    return np.union1d(_select(times, low, half), _select(times, high, half))


def _select(times: Floats, values: Floats, points: int) -> Indices:
    if len(times) <= points:
        return np.arange(len(times))
    # The library would warn about values that are not contiguous.
    indices: Any = _lttb.downsample(np.ascontiguousarray(times), np.ascontiguousarray(values), n_out=points)
    return np.asarray(indices, dtype=np.intp)
