"""Tests the decoder of beats against a search frame by frame."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from k1_analysis.engine.beats.trackers import viterbi


@given(st.lists(st.floats(0, 1, width=32), max_size=300))
@settings(max_examples=40)
def test_decoder_gives_plausible_beats_for_any_activation(activation: list[float]) -> None:
    """No two beats are closer than the fastest or farther than the slowest tempo allows."""
    model = viterbi.TempoModel(lowest_bpm=60, highest_bpm=180, inertia=100, tempi=20)
    beats = viterbi.track_beats(np.array(activation, np.float32), model)
    gaps = np.diff(beats)
    assert (gaps >= 0.33 - 1e-9).all()
    assert (gaps <= 1.0 + 1e-9).all()


@given(
    st.lists(st.floats(-6, 6), max_size=120),
    st.lists(st.integers(2, 40), min_size=1, max_size=6, unique=True),
)
@settings(max_examples=60)
def test_decoder_finds_the_path_that_a_search_frame_by_frame_finds(
    gain: list[float], intervals: list[int]
) -> None:
    """Scoring many frames at once changes the speed, not the path."""
    frames = np.array(sorted(intervals), np.int64)
    log_transition = np.log(np.random.default_rng(1).dirichlet(np.ones(len(frames)), len(frames)))
    rows = np.array([[max(0, i - 1), min(len(frames), i + 2)] for i in range(len(frames))], np.int64)
    found = viterbi.decode_path(np.array(gain), frames, log_transition, rows)
    assert found.tolist() == best_path(gain, sorted(intervals), log_transition)


def best_path(gain: list[float], intervals: list[int], log_transition: NDArray[np.float64]) -> list[int]:
    """The beats of the best path, state by state: `score[i][k]` is at tempo i, k frames after a beat."""
    score = [[-math.log(interval)] * interval for interval in intervals]
    came_from: list[list[int]] = []
    for now in gain:
        leaving = [states.pop() for states in score]
        near = [range(max(0, i - 1), min(len(intervals), i + 2)) for i in range(len(intervals))]
        came_from.append(
            [max(near[i], key=lambda j: leaving[j] + log_transition[j, i]) for i in range(len(intervals))]
        )
        for i, states in enumerate(score):
            j = came_from[-1][i]
            states.insert(0, leaving[j] + log_transition[j, i])
            for age in range(-(-intervals[i] // viterbi.BEAT_REGION)):
                states[age] += now
    best = max(max(states) for states in score)
    # The earliest of equal beats, as the decoder takes it.
    age, minus_tempo = max(
        (k, -i) for i, states in enumerate(score) for k, at in enumerate(states) if at == best
    )
    tempo, beat, beats = -minus_tempo, len(gain) - 1 - age, list[int]()
    while beat >= 0:
        beats.append(beat)
        tempo = came_from[beat][tempo]
        beat -= intervals[tempo]
    return beats[::-1]
