"""Confidences are probabilities that rise with each piece of evidence and are limited by doubt."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_analysis.engine.beats.agreement.confidence import (
    DOUBTFUL_LEVEL,
    DOUBTFUL_TEMPO,
    DecisionEvidence,
    beat_confidence,
    tempo_confidence,
    track_confidence,
)

BEATS = np.arange(6.0, 60.0, 0.5)
OFFBEATS = BEATS + 0.25
WEAK = DecisionEvidence(constant=False, phase=0.2, level=0.1)
SURE = DecisionEvidence(constant=True, phase=6.0, level=4.0)
decisions = st.builds(DecisionEvidence, st.booleans(), st.floats(-2, 20), st.floats(-2, 20), st.booleans())


@pytest.mark.parametrize("better", [{"constant": True}, {"phase": 3.0}, {"level": 2.0}])
def test_evidence_of_the_decision_raises_the_confidence(better: dict[str, float]) -> None:
    """A grid, a clear phase and a clear level each make beats likelier; a clear level the tempo as well."""
    more = replace(WEAK, **better)
    assert track_confidence(BEATS, [BEATS], more) > track_confidence(BEATS, [BEATS], WEAK) + 0.05
    if "phase" not in better:
        assert tempo_confidence(BEATS, [BEATS], more) > tempo_confidence(BEATS, [BEATS], WEAK) + 0.05


def test_agreement_of_the_trackers_raises_the_confidence() -> None:
    """Members on the offbeats support neither the beats, nor members at half the tempo the tempo."""
    assert track_confidence(BEATS, [BEATS], WEAK) > track_confidence(BEATS, [OFFBEATS], WEAK)
    assert tempo_confidence(BEATS, [BEATS], WEAK) > tempo_confidence(BEATS, [BEATS[::2]], WEAK)


def test_doubt_about_the_level_limits_the_confidence() -> None:
    """However sure the rest is: at the other level two thirds of the F-measure are left, and the tempo is wrong."""
    doubtful = replace(SURE, level_in_doubt=True)
    assert track_confidence(BEATS, [BEATS], SURE) > 0.95
    assert track_confidence(BEATS, [BEATS], doubtful) == DOUBTFUL_LEVEL
    assert tempo_confidence(BEATS, [BEATS], doubtful) == DOUBTFUL_TEMPO


def test_beats_with_activation_are_more_certain() -> None:
    """Each beat's own activation counts beside the confidence of the track."""
    activation = np.linspace(0, 1, len(BEATS)).astype(np.float32)
    found = beat_confidence(BEATS, [BEATS], activation, 0.9)
    assert (np.diff(found) > 0).all()
    assert (beat_confidence(BEATS, [BEATS], activation, 0.5) < found).all()


@given(decisions, st.floats(0, 1), st.lists(st.sampled_from([0.0, 0.1, 0.25]), max_size=4))
def test_confidences_are_probabilities(
    decision: DecisionEvidence, activation: float, offsets: list[float]
) -> None:
    members = [BEATS + offset for offset in offsets]
    track = track_confidence(BEATS, members, decision)
    beats = beat_confidence(BEATS, members, np.full(len(BEATS), activation, np.float32), track)
    for value in (track, tempo_confidence(BEATS, members, decision), *beats):
        assert 0 <= value <= 1


def test_a_song_without_beats_has_no_confidence() -> None:
    nothing = np.empty(0)
    assert track_confidence(nothing, [BEATS], SURE) == 0
    assert tempo_confidence(nothing, [BEATS], SURE) == 0
    assert beat_confidence(nothing, [BEATS], np.empty(0, np.float32), 0.5).tolist() == []
