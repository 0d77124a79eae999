"""Butterworth filters, with the types that scipy leaves out."""

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from .fluid import SAMPLE_RATE_HZ


def filtered(
    audio: NDArray[np.floating[Any]], order: int, hz: float, kind: Literal["lowpass", "highpass"]
) -> NDArray[np.float64]:
    """Return `audio` after a Butterworth filter, with the same number of samples."""
    sections = butter(order, hz, kind, fs=SAMPLE_RATE_HZ, output="sos")
    return cast(NDArray[np.float64], sosfilt(sections, audio))
