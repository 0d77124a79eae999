"""Tests the features: shapes, units, and that they do not depend on how samples arrive."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio import framing
from k1_analysis.engine.audio.features import extract, log_spectrogram


@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=8), st.integers(1, 7))
@settings(max_examples=30)
def test_windows_do_not_depend_on_how_samples_arrive(sizes: list[int], block: int) -> None:
    """Pushed in any pieces, a stream is cut into the same windows as in one."""
    samples = np.random.default_rng(0).normal(size=sum(sizes)).astype(np.float32)
    whole, pieces = framing.FrameCutter(2048, 441, block), framing.FrameCutter(2048, 441, block)
    expected = [*whole.push(samples), *whole.finish()]
    got: list[np.ndarray] = []
    for part in np.split(samples, np.cumsum(sizes)[:-1]):
        got.extend(pieces.push(part))
    got.extend(pieces.finish())
    assert (np.concatenate(got) == np.concatenate(expected)).all()
    assert len(np.concatenate(got)) == 1 + len(samples) // 441


def test_features_have_the_stated_shapes_and_units() -> None:
    """A sine of amplitude 0.5 has that RMS and peak, its centroid and its band."""
    samples = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(3 * songs.RATE) / songs.RATE)).astype(np.float32)
    features = extract(samples)
    middle = slice(5, -5)
    assert features.log_bands.shape == (301, 82)
    assert features.attack.shape == (903,)
    assert features.envelopes.rms[middle] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert features.envelopes.peak[middle] == pytest.approx(0.5, rel=0.01)
    assert features.envelopes.centroid_hz[middle] == pytest.approx(1000, rel=0.02)
    assert features.envelopes.bands[middle, 1] == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert features.envelopes.bands[middle, 0].max() < 0.01
    assert (features.log_bands == log_spectrogram(samples)).all()


@given(st.lists(st.integers(0, 300), max_size=8), st.integers(1, 3))
@settings(max_examples=30)
def test_rows_come_back_as_they_were_appended(sizes: list[int], columns: int) -> None:
    """Whatever the blocks, also beyond the initial capacity."""
    rows = np.arange(sum(sizes) * columns, dtype=np.float32).reshape(-1, columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "_INITIAL_ROWS", 100)
        buffer = framing.RowBuffer(columns)
        for block in np.split(rows, np.cumsum(sizes)):
            buffer.append(block)
    assert buffer.finish().tolist() == rows.tolist()
