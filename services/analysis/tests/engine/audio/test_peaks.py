"""The waveform, read back by the layout in the documentation of audiowaveform."""

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from k1_analysis.engine.audio.peaks import SAMPLES_PER_POINT, PeakMeter


def parse(data: bytes) -> tuple[dict[str, int], np.ndarray]:
    """Return the header and the (points, 2) values of a .dat file of version 2."""
    names = ("version", "flags", "sample_rate", "samples_per_pixel", "length", "channels")
    header: dict[str, int] = dict(zip(names, struct.unpack_from("<iIiiIi", data), strict=True))
    points = np.frombuffer(data, np.int8, offset=24).reshape(-1, 2)
    return header, points


@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(0, 2000),
    cuts=st.lists(st.integers(0, 2000), max_size=4),
    gain=st.sampled_from([0.0, 0.01, 1.0, 3.0]),
)
def test_every_sample_lies_in_its_point(seed: int, length: int, cuts: list[int], gain: float) -> None:
    """The blocks in which the samples come do not matter; beyond full scale the values are clipped."""
    samples = (gain * np.random.default_rng(seed).uniform(-1, 1, length)).astype(np.float32)
    meter = PeakMeter()
    for block in np.split(samples, sorted(min(cut, length) for cut in cuts)):
        meter.push(block)
    header, points = parse(meter.finish())
    assert header == {
        "version": 2,
        "flags": 1,
        "sample_rate": 44_100,
        "samples_per_pixel": SAMPLES_PER_POINT,
        "length": -(-length // SAMPLES_PER_POINT),
        "channels": 1,
    }
    assert len(points) == header["length"]
    for number, (lowest, highest) in enumerate(points):
        part = samples[number * SAMPLES_PER_POINT : (number + 1) * SAMPLES_PER_POINT]
        loud = np.clip(part * 128, -128, 127)
        assert lowest <= loud.min() < lowest + 1
        assert highest - 1 < loud.max() <= highest


def test_silence_is_zero() -> None:
    """Silence draws a line, not a band."""
    meter = PeakMeter()
    meter.push(np.zeros(SAMPLES_PER_POINT * 3, np.float32))
    assert not parse(meter.finish())[1].any()
