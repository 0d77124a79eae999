"""Tests the network: any length, a long song as a whole, and the same numbers with ONNX Runtime."""

import numpy as np
import pytest

from k1_analysis.engine.beats.trackers import activation
from k1_analysis.engine.beats.trackers.activation import default_net
from k1_analysis.engine.beats.trackers.activation_onnx import OnnxBeatNet


@pytest.mark.parametrize("frames", [1, 2, 7, 600])
def test_network_accepts_any_length(frames: int) -> None:
    """Probabilities for every frame, however few."""
    activation = default_net()(np.zeros((frames, 82), np.float32))
    assert activation.shape == (frames, 2)
    assert ((activation > 0) & (activation < 1)).all()


def test_network_computes_a_long_song_as_a_whole() -> None:
    """The output of the segments equals the output for the whole song."""
    net = default_net()
    log_bands = np.random.default_rng(0).uniform(0, 2, (activation._SEGMENT + 3000, 82)).astype(np.float32)
    whole = net._segment(log_bands, activation._song_scale(log_bands), 0, len(log_bands))
    assert net(log_bands) == pytest.approx(whole, abs=1e-6)


def test_onnx_runtime_gives_the_same_numbers() -> None:
    """Where it is installed, ONNX Runtime agrees with numpy within rounding."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    log_bands = np.random.default_rng(0).uniform(0, 2, (900, 82)).astype(np.float32)
    assert OnnxBeatNet(default_net())(log_bands) == pytest.approx(default_net()(log_bands), abs=1e-5)
