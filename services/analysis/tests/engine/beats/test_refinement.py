"""Tests the refinement of beats: they move to peaks, always rise, and keep to one metrical level."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from k1_analysis.engine.beats import level_consistency, refinement
from k1_analysis.engine.beats.trackers import viterbi
from k1_analysis.engine.output.genesis_map import beat_milliseconds


def _pulses(frames_s: np.ndarray, peaks_s: np.ndarray, *, width_s: float) -> NDArray[np.float32]:
    """Return an activation with a bell of this width at each peak."""
    bells = (np.exp(-(((frames_s - peak_s) / width_s) ** 2)) for peak_s in peaks_s)
    return sum(bells, np.zeros(len(frames_s))).astype(np.float32)


def test_beats_move_to_the_peak_of_the_activation() -> None:
    """A bowed note starts slowly, which the network has learned: its peak, not the onset's, gives the time."""
    rng = np.random.default_rng(5)
    beats = np.arange(2.0, 20.0, 0.5)
    frames = np.arange(2200) / 100
    activation = _pulses(frames, beats, width_s=0.02)
    late = _pulses(frames, beats + 0.025, width_s=0.02)
    silent = np.zeros_like(activation)
    attacks = np.zeros(6600, np.float32)
    rough = beats + rng.uniform(-0.01, 0.01, len(beats))
    assert refinement.refine(rough, activation, late, attacks) == pytest.approx(beats, abs=0.002)
    assert refinement.refine(beats, silent, late, attacks) == pytest.approx(beats + 0.025, abs=0.002)
    assert refinement.refine(rough, silent, silent, attacks) == pytest.approx(rough)


@pytest.mark.parametrize(("slow_s", "interval_s"), [(30.0, 0.72), (10.0, 0.36)])
def test_song_keeps_to_one_metrical_level(slow_s: float, interval_s: float) -> None:
    """Half tempo for half the song holds for all of it; a short half-time break changes nothing."""
    fast = np.arange(0.5, 60, 0.36)
    pulses = fast[(fast < 60 - slow_s) | (np.arange(len(fast)) % 2 == 0)]
    frames = np.arange(6000) / 100
    activation = _pulses(frames, pulses, width_s=0.015)
    model = viterbi.TempoModel(lowest_bpm=55, highest_bpm=190, inertia=200)
    free = viterbi.track_beats(activation, model)
    assert np.ptp(np.diff(free)) > 0.3
    intervals = np.diff(level_consistency.keep_one_level(free, activation, model.inertia))
    assert intervals == pytest.approx(interval_s, rel=0.1)


@given(st.lists(st.floats(-1, 100), max_size=80))
def test_sorted_beats_always_rise(times: list[float]) -> None:
    """Beats are in order, apart from each other, and not before zero."""
    beats = refinement.sorted_beats(np.array(times))
    assert (beats >= 0).all()
    assert (np.diff(beats) >= 0.05 - 1e-9).all()
    assert len(set(beat_milliseconds(beats))) == len(beats)
