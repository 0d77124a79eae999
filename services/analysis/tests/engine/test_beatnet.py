"""BeatNet's model 1 in numpy: it agrees with the original, in blocks of any size, for songs of any level and length."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.features import QUIETEST_PEAK, extract
from k1_analysis.engine.beats.trackers import beatnet
from k1_analysis.engine.beats.trackers.beatnet import BeatNetExtractor, beatnet_activation

RATE = songs.RATE
REFERENCE = Path(__file__).with_name("beatnet_reference.npz")
"""Written by training/beatnet/reference.py with the original network and madmom's features."""


def reference_signal() -> NDArray[np.float32]:
    """Return ten seconds: bursts of noise at 120 BPM, louder on each fourth, over a chord that grows."""
    rng = np.random.default_rng(5)
    times = np.arange(10 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * times) for hertz in (110.0, 277.2, 329.6, 1760.0, 7040.0))
    samples = 0.02 * (1 + times) * chord / 5
    decay = np.exp(-np.arange(int(0.2 * RATE)) / RATE * 25)
    for beat in range(19):
        first = round((0.31 + beat / 2) * RATE)
        samples[first : first + len(decay)] += (
            (0.6 if beat % 4 == 0 else 0.3) * rng.uniform(-1, 1, len(decay)) * decay
        )
    return samples.astype(np.float32)


@cache
def _whole() -> NDArray[np.float32]:
    return beatnet_activation(reference_signal())


def test_agrees_with_the_original() -> None:
    """The original's classes are beat, downbeat, none at 50 Hz; resampling differs slightly at 10.5 kHz."""
    with np.load(REFERENCE) as arrays:
        classes = arrays["classes"]
    wanted_s = np.arange(len(_whole())) / 100 + beatnet.BIAS_S
    known_s = np.arange(len(classes)) / 50
    expected = [
        np.interp(wanted_s, known_s, column) for column in (classes[:, 0] + classes[:, 1], classes[:, 1])
    ]
    # Beyond the original's last frame ours has one more, at the very end of the samples.
    difference = np.abs(_whole() - np.stack(expected, axis=1))[:-2]
    assert difference.max() < 0.01
    assert difference.mean() < 5e-4


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 10 * RATE), max_size=6))
def test_blocks_give_the_same_as_the_whole(cuts: list[int]) -> None:
    """Wherever the samples are cut, the activation is equal to the last bit."""
    extractor = BeatNetExtractor()
    for block in np.split(reference_signal(), sorted(cuts)):
        extractor.push(block)
    assert np.array_equal(extractor.finish(), _whole())


@pytest.mark.parametrize("length", [0, 1, 100, 441, 882, 3 * RATE + 17])
def test_has_as_many_frames_as_the_features(length: int) -> None:
    """However short the song, there is a row for each frame of the other features."""
    samples = reference_signal()[:length]
    found = beatnet_activation(samples)
    assert found.shape == (len(extract(samples).log_bands), 2)
    assert np.isfinite(found).all()


def test_silence_has_no_beats() -> None:
    """After the first second, in which the network settles, digital silence has no beat."""
    found = beatnet_activation(np.zeros(10 * RATE, np.float32))
    assert found[100:].max() < 0.1


def test_probabilities_are_ordered() -> None:
    """A downbeat is a beat too."""
    assert (_whole()[:, 0] >= _whole()[:, 1]).all()
    assert _whole().min() >= 0
    assert _whole().max() <= 1


@pytest.mark.parametrize("factor", [0.1, 1e-4])
def test_quiet_song_is_heard_as_if_it_were_louder(factor: float) -> None:
    """Below the least peak the level makes no difference."""
    samples = reference_signal()
    least = samples * np.float32(0.999 * QUIETEST_PEAK / np.abs(samples).max())
    assert np.abs(beatnet_activation(least * np.float32(factor)) - beatnet_activation(least)).max() < 0.05


@pytest.mark.parametrize("bpm", [97.0, 126.0])
def test_activation_is_on_the_beats(bpm: float) -> None:
    """The centre of the activation around each beat is within 20 ms, one frame of the original, in the median."""
    beats = songs.steady(bpm, 24.0, 0.4)
    activation = beatnet_activation(songs.song(beats))[:, 0]
    offsets = np.arange(-7, 8)
    around = np.array([activation[round(100 * beat) + offsets] for beat in beats[8:-2]])
    centres = (
        (around * offsets).sum(axis=1) / around.sum(axis=1) + np.round(100 * beats[8:-2]) - 100 * beats[8:-2]
    )
    assert abs(np.median(centres)) < 2.0
