"""Targets, augmentation, and the network's way from PyTorch to the engine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_analysis.engine.beats.trackers.activation import load_net, network_input
from training.beats.augment import Piece, augment, targets
from training.beats.dataset import SONGS_PER_STYLE, VALIDATION_SONGS_PER_STYLE, all_recipes, labelled, plan


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
    positions = np.arange(len(beats)) % 4 + 1
    known = (np.arange(2000) >= 100).astype(np.float32)
    changed = augment(Piece(log_bands, beats, positions, known), np.random.default_rng(seed))
    moved = changed.beats
    level = changed.log_bands.sum(axis=1)
    clicks = np.flatnonzero((level > 0.3 * level.max()) & (level > 0)) / 100
    assert changed.log_bands.shape == (len(changed.mask), 82)
    assert np.flatnonzero(changed.mask)[0] / 100 == pytest.approx(2 * moved[0], abs=0.03)
    assert np.all(np.diff(moved) > 0)
    assert np.abs(clicks[:, None] - moved).min(axis=1).max() <= 0.02


def test_the_plan_mixes_styles():
    """Every style gets its share, and a short trial run meets every style."""
    songs = plan("training")
    assert len(songs) == len(set(songs)) == sum(SONGS_PER_STYLE.values())
    assert {style for style, _ in songs[: len(SONGS_PER_STYLE)]} == set(SONGS_PER_STYLE)
    assert len(plan("validation")) == VALIDATION_SONGS_PER_STYLE * len(SONGS_PER_STYLE)


def test_the_first_songs_are_a_fair_sample(tmp_path):
    """A trial with few songs has generated and played ones, each kind in its own order."""
    rows = [f"d1,d1/s,d1/s/{i},rock,120,beat,4-4,{i}.mid,,9.0,train" for i in range(100)]
    header = (
        "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split"
    )
    (tmp_path / "info.csv").write_text("\n".join([header, *rows]))
    for i in range(100):
        (tmp_path / f"{i}.mid").write_bytes(b"")
    names = [recipe.name for recipe in all_recipes(tmp_path, "training")]
    played = [name for name in names if name.startswith("groove-")]
    assert len(names) == len(set(names)) == sum(SONGS_PER_STYLE.values()) + 100
    assert [name for name in names if name not in played] == [r.name for r in all_recipes(None, "training")]
    assert 0.08 < sum(name in played for name in names[:200]) / 200 < 0.12


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


def test_a_widened_network_computes_the_same():
    """More units change nothing at first, and they learn: the output depends on them after one step."""
    torch = pytest.importorskip("torch", reason="PyTorch is installed for training only")
    from training.beats.model import BeatNet, widen

    torch.manual_seed(0)
    narrow = BeatNet(6, 8, 3).eval()
    wide = widen(narrow, 9, 10).eval()
    inputs = torch.randn(1, 164, 300)
    torch.testing.assert_close(wide(inputs), narrow(inputs))
    wide(inputs).square().mean().backward()
    assert wide.out.weight.grad[:, 6:].abs().min() > 0


def test_the_average_follows_the_network():
    """After many updates the moving average is the network, after one it has moved by 1 - decay."""
    torch = pytest.importorskip("torch", reason="PyTorch is installed for training only")
    from training.beats.model import BeatNet, MovingAverage

    torch.manual_seed(0)
    start, end = BeatNet(4, 4, 2), BeatNet(4, 4, 2)
    average = MovingAverage(start, decay=0.9)
    average.update(end)
    torch.testing.assert_close(average.net.out.weight, 0.9 * start.out.weight + 0.1 * end.out.weight)
    for _ in range(200):
        average.update(end)
    torch.testing.assert_close(average.net.inp.weight, end.inp.weight)


def test_labels_may_be_partial(tmp_path):
    """Songs of another program come with their mask; beats without bars are no downbeats to learn or unlearn."""
    pytest.importorskip("torch", reason="PyTorch is installed for training only")
    from training.beats.train import Pool, draw_batch

    beats = np.arange(0.5, 39, 0.5)
    known = np.arange(4000) < 2000
    for name, positions in (("bars", np.arange(len(beats)) % 4 + 1), ("beats", np.zeros(len(beats), int))):
        np.savez(
            tmp_path / f"{name}.npz",
            log_bands=np.ones((4000, 82), np.float16),
            beats=beats,
            positions=positions,
            mask=known,
        )
    with_bars, without = labelled(tmp_path)
    assert (with_bars.name, with_bars.knows_bars, without.knows_bars) == ("bars", True, False)
    rng = np.random.default_rng(0)
    batch = draw_batch([Pool(1.0, [with_bars])], rng)
    assert 0 < batch.mask.mean() < 1
    np.testing.assert_array_equal(batch.mask[:, 0], batch.mask[:, 1])
    batch = draw_batch([Pool(1.0, [without])], rng)
    assert batch.mask[:, 0].any()
    assert not batch.mask[:, 1].any()


def test_unknown_frames_do_not_teach():
    """The loss is the same whatever the targets say outside the mask."""
    torch = pytest.importorskip("torch", reason="PyTorch is installed for training only")
    from training.beats.model import BeatNet
    from training.beats.train import Batch, loss

    torch.manual_seed(0)
    net, inputs = BeatNet(4, 4, 2).eval(), torch.randn(2, 164, 50)
    mask = torch.zeros(2, 2, 50)
    mask[:, 0, :25] = 1
    wanted = torch.rand(2, 2, 50)
    other = torch.where(mask > 0, wanted, 1 - wanted)
    assert loss(net, Batch(inputs, wanted, mask)) == loss(net, Batch(inputs, other, mask))


def test_weak_styles_are_a_kind_of_their_own_only_if_asked():
    """The same song belongs to the styles of the evaluation, or to the weak ones where these get a share."""
    pytest.importorskip("torch", reason="PyTorch is installed for training only")
    from training.beats.train import kind_of

    kinds = ["first", "new", "played"]
    names = ("compound-003", "rock-003", "ternary-001", "pop-sung-001", "groove-drummer1-eval-0")
    assert [kind_of(name, kinds) for name in names] == ["first", "first", "new", "new", "played"]
    assert [kind_of(name, [*kinds, "weak"]) for name in names] == ["weak", "first", "weak", "new", "played"]
