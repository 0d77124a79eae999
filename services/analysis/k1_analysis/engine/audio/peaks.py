"""Measures the peaks of the waveform for a player's display, and writes them in the .dat format of audiowaveform.

The format is version 2 with 8 bits: six little-endian integers of 32 bits (version, flags, samples per second, samples
per point, points, channels), then the minimum and the maximum of each point as signed bytes, 128 for full scale.
https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md
"""

import struct
from typing import Final

import numpy as np

from k1_analysis.engine.audio.framing import SAMPLE_RATE_HZ, Floats

SAMPLES_PER_POINT: Final = 210
"""So that there are 210 points per second: 100 kB for four minutes."""
_VERSION: Final = 2
_EIGHT_BITS: Final = 1


class PeakMeter:
    """Collects the peaks of a mono signal block by block; two bytes for each point stay in memory."""

    def __init__(self) -> None:
        self._pending = np.empty(0, np.float32)
        self._points = bytearray()

    def push(self, block: Floats) -> None:
        """Measure the samples; those of a point that is not complete yet are kept."""
        joined = np.concatenate([self._pending, block])
        whole = len(joined) // SAMPLES_PER_POINT * SAMPLES_PER_POINT
        self._measure(joined[:whole].reshape(-1, SAMPLES_PER_POINT))
        self._pending = joined[whole:]

    def finish(self) -> bytes:
        """Return the file; its last point may be shorter than the others."""
        if len(self._pending):
            self._measure(self._pending[np.newaxis])
        points = len(self._points) // 2
        header = struct.pack("<iIiiIi", _VERSION, _EIGHT_BITS, SAMPLE_RATE_HZ, SAMPLES_PER_POINT, points, 1)
        return header + bytes(self._points)

    def _measure(self, samples: Floats) -> None:
        # Rounded outwards, so that no sample lies outside of its point, but for the clipping of full scale.
        lowest, highest = np.floor(samples.min(axis=1) * 128), np.ceil(samples.max(axis=1) * 128)
        both = np.clip(np.stack([lowest, highest], axis=1), -128, 127)
        self._points += both.astype(np.int8).tobytes()
