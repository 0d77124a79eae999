"""Cuts decoded frames, and makes silent ones."""

from typing import Any, Final

import numpy as np
from av.audio.frame import AudioFrame

MOST_PLANES: Final = 8
"""Reading the planes of a frame with more channels through PyAV 18 crashes the interpreter."""


def cut(frame: AudioFrame, skip: int, left: int | None) -> AudioFrame | None:
    """Return the samples after `skip`, at most `left` of them; None if there are none."""
    channels = frame.layout.nb_channels
    end = frame.samples if left is None else min(frame.samples, skip + left)
    if skip >= end:
        return None
    if (skip, end) == (0, frame.samples) or channels > MOST_PLANES:
        return frame
    samples = frame.to_ndarray()
    width = 1 if frame.format.is_planar else channels
    return _like(frame, np.ascontiguousarray(samples[:, skip * width : end * width]))


def _like(frame: AudioFrame, samples: Any) -> AudioFrame:
    """Return samples, shaped and typed as `to_ndarray` gives them, as a frame of the same kind."""
    made = AudioFrame.from_ndarray(samples, format=frame.format.name, layout=frame.layout.name)
    made.sample_rate = frame.sample_rate
    return made


def silence(frame: AudioFrame, samples: int) -> AudioFrame:
    """Return silence in the format of a frame with at most MOST_PLANES channels."""
    kind, channels = frame.to_ndarray().dtype, frame.layout.nb_channels
    shape = (channels, samples) if frame.format.is_planar else (1, samples * channels)
    return _like(frame, np.full(shape, 128 if kind == np.uint8 else 0, kind))
