"""Reads, downsamples and converts a waveform in the .dat format of audiowaveform, version 2, mono. Pure."""

import struct
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from k1_contracts.base import Contract

_HEADER: Final = struct.Struct("<iIiiIi")
_VERSION: Final = 2
_EIGHT_BITS: Final = 1


class WaveformJson(Contract):
    """A waveform in the JSON format of audiowaveform."""

    version: int = 2
    channels: int = 1
    sample_rate: int
    samples_per_pixel: int
    bits: int = 8
    length: int = Field(ge=0)
    """The number of points."""
    data: list[int]
    """Minimum and maximum of each point by turns, -128..127."""


@dataclass(frozen=True, slots=True)
class Waveform:
    """Minimum and maximum of the samples of each point; `samples_per_point` samples make one."""

    sample_rate: int
    samples_per_point: int
    lowest: memoryview
    highest: memoryview

    @classmethod
    def parse(cls, data: bytes) -> "Waveform":
        """Return the waveform of a file; raise ValueError for any other file."""
        if len(data) < _HEADER.size:
            raise ValueError("a waveform begins with a header of 24 bytes")
        version, flags, rate, samples, length, channels = _HEADER.unpack_from(data)
        if (version, flags, channels) != (_VERSION, _EIGHT_BITS, 1) or rate <= 0 or samples <= 0:
            raise ValueError("this is no waveform of version 2 with 8 bits and one channel")
        if len(data) != _HEADER.size + 2 * length:
            raise ValueError("the waveform is not as long as its header says")
        points = memoryview(data)[_HEADER.size :].cast("b")
        return cls(rate, samples, points[::2], points[1::2])

    def factor_for(self, points_per_s: float | None) -> int:
        """Return how many points become one, so that at least `points_per_s` remain where there are as many."""
        if points_per_s is None:
            return 1
        return max(1, int(self.sample_rate / self.samples_per_point / points_per_s))

    def downsampled(self, factor: int) -> "Waveform":
        """Return the waveform with `factor` points in one: the lowest minimum and the highest maximum of them."""
        if factor == 1:
            return self
        starts = range(0, len(self.lowest), factor)
        lowest, highest = self.lowest.tolist(), self.highest.tolist()
        return Waveform(
            self.sample_rate,
            self.samples_per_point * factor,
            memoryview(bytes(min(lowest[at : at + factor]) & 0xFF for at in starts)).cast("b"),
            memoryview(bytes(max(highest[at : at + factor]) & 0xFF for at in starts)).cast("b"),
        )

    def to_dat(self) -> bytes:
        """Return the file."""
        header = (_VERSION, _EIGHT_BITS, self.sample_rate, self.samples_per_point, len(self.lowest), 1)
        points = bytearray(2 * len(self.lowest))
        points[::2], points[1::2] = self.lowest.tobytes(), self.highest.tobytes()
        return _HEADER.pack(*header) + bytes(points)

    def to_json(self) -> bytes:
        """Return the same as JSON."""
        pairs = zip(self.lowest.tolist(), self.highest.tolist(), strict=True)
        return WaveformJson(
            sample_rate=self.sample_rate,
            samples_per_pixel=self.samples_per_point,
            length=len(self.lowest),
            data=[value for pair in pairs for value in pair],
        ).to_json()
