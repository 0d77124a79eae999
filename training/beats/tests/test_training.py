"""Targets, augmentation, and the network's way from PyTorch to the engine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_analysis.engine.beats.trackers.activation import load_net, network_input
from training.beats.augment import augment, targets
from training.beats.dataset import SONGS_PER_STYLE, VALIDATION_SONGS_PER_STYLE, plan


@given(st.lists(st.floats(0.3, 1.5), min_size=2, max_size=40), st.integers(1, 7))
def test_targets_peak_at_the_beats(intervals, meter):
    """A beat's frame is 1, its neighbours less, a downbeat is a beat, and all else is 0."""
    beats = np.cumsum(intervals)
    positions = np.arange(len(beats)) % meter + 1
    frames = int(beats[-1] * 100) - 20
    wanted = targets(beats, positions, frames)
    centre = np.round(beats * 100).astype(int)
    inside = centre < frames
    assert np.all(wanted[centre[inside], 0] == 1)
    assert np.all(wanted[:, 1] <= wanted[:, 0])
    assert np.all(wanted[centre[inside & (positions == 1)], 1] == 1)
    near = (np.abs(np.arange(frames)[:, None] - centre) <= 2).any(axis=1)
    assert np.all((wanted[:, 0] > 0) == near)


@given(st.integers(0, 2**32))
def test_augmentation_keeps_the_beats_on_the_clicks(seed):
    """However a click track is changed, its loudest frames stay within 20 ms of its beats."""
    beats = np.arange(0.5, 19, 0.5)
    log_bands = np.zeros((2000, 82), np.float32)
    log_bands[np.round(beats * 100).astype(int)] = 1.0
    changed, moved = augment(log_bands, beats, np.random.default_rng(seed))
    level = changed.sum(axis=1)
    clicks = np.flatnonzero((level > 0.3 * level.max()) & (level > 0)) / 100
    assert changed.shape[1] == 82
    assert np.all(np.diff(moved) > 0)
    assert np.abs(clicks[:, None] - moved).min(axis=1).max() <= 0.02


def test_the_plan_mixes_styles():
    """Every style gets its share, and a short trial run meets every style."""
    songs = plan("training")
    assert len(songs) == len(set(songs)) == sum(SONGS_PER_STYLE.values())
    assert {style for style, _ in songs[: len(SONGS_PER_STYLE)]} == set(SONGS_PER_STYLE)
    assert len(plan("validation")) == VALIDATION_SONGS_PER_STYLE * len(SONGS_PER_STYLE)


def test_the_engine_reads_what_training_wrote(tmp_path):
    """Exported weights restore the same network, and numpy computes what PyTorch computes."""
    torch = pytest.importorskip("torch", reason="PyTorch is installed for training only")
    from training.beats.model import BeatNet, export, restore

    torch.manual_seed(0)
    net = BeatNet().eval()
    export(net, tmp_path / "weights.npz")
    assert (tmp_path / "weights.npz").stat().st_size < 1_000_000
    log_bands = np.random.default_rng(0).uniform(0, 2, (3000, 82)).astype(np.float32)
    with torch.no_grad():
        inputs = torch.from_numpy(network_input(log_bands).T[None].copy())
        expected = torch.sigmoid(net(inputs))[0].T.numpy()
        restored = torch.sigmoid(restore(tmp_path / "weights.npz")(inputs))[0].T.numpy()
    np.testing.assert_array_equal(restored, expected)
    np.testing.assert_allclose(load_net(tmp_path / "weights.npz")(log_bands), expected, atol=2e-5)


def test_a_blend_lies_between_its_networks():
    """The blend's parameters are the weighted mean, and sharing fully gives the trained network back."""
    torch = pytest.importorskip("torch", reason="PyTorch is installed for training only")
    from training.beats.model import BeatNet, blend

    torch.manual_seed(0)
    trained, start = BeatNet(), BeatNet()
    mixed, whole = blend(trained, start, 0.25), blend(trained, start, 1.0)
    expected = 0.25 * trained.out.weight + 0.75 * start.out.weight
    torch.testing.assert_close(mixed.out.weight, expected)
    torch.testing.assert_close(whole.out.weight, trained.out.weight)
