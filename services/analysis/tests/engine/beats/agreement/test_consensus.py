"""The gate: `f_measure` counts the agreement that the song's own evidence allows, and doubt limits it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.features import extract
from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.beats.agreement.consensus import (
    OFFBEAT_DISCOUNT,
    PHASE_IN_DOUBT,
    PHASE_SURE,
    PulseEvidence,
    consensus,
    weigh_pulse,
)
from k1_analysis.engine.beats.interpretations import double_beats
from k1_analysis.engine.output.analysis_report import LOW_F_MEASURE

FAST = songs.steady(124.0, 28.0, 0.5)
OFFBEATS = (FAST[1:] + FAST[:-1]) / 2
BALLAD = songs.drums(62.0, 29.0, kick=(0, 2), snare=(1, 3), hats=4)
ROCK = songs.drums(124.0, 29.0, kick=(0, 2), snare=(1, 3), hats=2)
SURE = PulseEvidence(every_beat=False, quiet_between=False, slower=None, faster=None, phase=5.0)
SURE_OF_ALL = replace(SURE, every_beat=True)


def _heard(beats: Seconds, levels: list[float], length: int) -> np.ndarray:
    """Return an activation with the levels in turn at the beats."""
    activation = np.zeros(length, np.float32)
    activation[np.round(beats * 100).astype(int)] = np.resize(levels, len(beats))
    return activation


def _weighed(
    samples: np.ndarray,
    beats: Seconds = FAST,
    heard: Seconds = FAST,
    levels: list[float] | None = None,
    **changes: object,
) -> PulseEvidence:
    features = extract(samples.astype(np.float32))
    activation = _heard(heard, levels or [1.0], len(features.onsets))
    options = {"phase": 5.0, "level": 1.0, "other_level": None, "compound": False} | changes
    return weigh_pulse(beats, features, activation, **options)  # pyright: ignore[reportArgumentType]


def _gate(evidence: PulseEvidence, *methods: Seconds, beats: Seconds = FAST) -> float:
    return consensus(beats, [[times] for times in methods], evidence).f_measure


def test_drum_and_bass_passes_although_another_tracker_counts_in_half() -> None:
    """At 174 BPM, every beat struck, half the tempo agrees, and so it does on the offbeats."""
    beats = songs.steady(174.0, 28.0, 0.5)
    found = _weighed(songs.drums(174.0, 29.0, kick=(0, 2), snare=(1, 3), hats=2), beats, beats)
    offbeats = (beats[1:] + beats[:-1]) / 2
    assert _gate(found, beats[::2], beats=beats) == pytest.approx(1, abs=0.02)
    assert _gate(found, offbeats[::2], beats=beats) == pytest.approx(OFFBEAT_DISCOUNT, abs=0.02)
    assert _gate(found, offbeats, beats=beats) == pytest.approx(OFFBEAT_DISCOUNT, abs=0.02)
    assert OFFBEAT_DISCOUNT >= LOW_F_MEASURE


def test_every_beat_needs_the_network() -> None:
    """If the network does not hear the weaker beats, a tracker at half the tempo does not agree."""
    sure, unsure = _weighed(ROCK), _weighed(ROCK, levels=[1.0, 0.4])
    assert (sure.every_beat, unsure.every_beat) == (True, False)
    assert not unsure.level_in_doubt
    assert _gate(unsure, FAST[::2]) == pytest.approx(2 / 3, abs=0.02)


def test_doubled_ballad_fails_although_all_trackers_agree() -> None:
    """Only every other beat has a drum: the score is that against half the tempo."""
    doubled = _weighed(BALLAD)
    assert doubled.slower is not None
    assert doubled.slower.tolist() == FAST[::2].tolist()
    assert _gate(doubled, FAST, FAST) == pytest.approx(2 / 3, abs=0.02)
    assert not _weighed(BALLAD, compound=True).level_in_doubt
    assert not _weighed(BALLAD, FAST[::2], FAST[::2]).level_in_doubt


def test_beats_that_the_network_does_not_hear_are_in_doubt() -> None:
    """Drums at every beat do not save beats of which the network hears every other one only."""
    doubled = _weighed(ROCK, levels=[1.0, 0.1])
    assert doubled.slower is not None
    assert _gate(doubled, FAST) == pytest.approx(2 / 3, abs=0.02)
    other_phase = _weighed(ROCK, heard=np.sort(np.concatenate([FAST[::2], OFFBEATS])))
    assert not other_phase.level_in_doubt


def test_half_of_the_beats_that_the_network_hears_are_in_doubt() -> None:
    """As much activation between the beats as at them: double the tempo is as likely."""
    halved = _weighed(ROCK, FAST[::2], FAST)
    assert halved.faster is not None
    assert len(halved.faster) == pytest.approx(len(FAST), abs=1)
    assert _gate(halved, FAST[::2], beats=FAST[::2]) == pytest.approx(2 / 3, abs=0.02)
    # Sixteenths of the hats are heard as well, but no drum is there.
    assert not _weighed(BALLAD, FAST[::2], FAST).level_in_doubt
    # A network that jumps between the phases hears either of them in turn, never both.
    jumping = np.concatenate([FAST[:28], OFFBEATS[28:]])
    assert not _weighed(ROCK, FAST, jumping).level_in_doubt


@pytest.mark.parametrize(("likely", "faster"), [(FAST[::3], False), (double_beats(FAST), True)])
def test_a_level_that_is_as_likely_limits_the_score(likely: Seconds, faster: bool) -> None:
    """The decision's own doubt counts: a level of thirds as well."""
    found = _weighed(ROCK, level=0.4, other_level=likely)
    assert ((found.faster if faster else found.slower) == likely).all()
    assert _gate(found, FAST) < 0.7
    assert not _weighed(ROCK, level=0.5, other_level=likely).level_in_doubt


def test_level_that_all_cues_support_needs_no_tracker_at_it() -> None:
    """Half the tempo agrees although the network is not sure of each beat."""
    assert _gate(_weighed(ROCK, levels=[1.0, 0.4], level=1.6), FAST[::2]) == pytest.approx(1, abs=0.02)


def test_offbeat_tracker_agrees_only_if_the_phase_is_sure() -> None:
    """Exact beats do not get 0 because a tracker follows the snare between them; without evidence they do."""
    assert _gate(SURE, OFFBEATS) == pytest.approx(OFFBEAT_DISCOUNT, abs=0.02)
    unsure = replace(SURE, phase=PHASE_SURE - 0.1)
    assert _gate(unsure, OFFBEATS) == 0
    assert _gate(unsure, OFFBEATS, FAST) == pytest.approx(0.5, abs=0.02)
    assert _gate(unsure, FAST) == pytest.approx(1)


def test_doubt_about_the_phase_limits_the_score() -> None:
    """Trackers that agree about the wrong phase do not pass: the score is at most the probability of the phase."""
    for phase, most in ((PHASE_IN_DOUBT - 0.1, 0.6), (0.0, 0.5), (-2.0, 0.12)):
        doubtful = replace(SURE, phase=phase)
        assert doubtful.phase_in_doubt
        assert _gate(doubtful, FAST, FAST) == pytest.approx(most, abs=0.01)
    assert not replace(SURE, phase=PHASE_IN_DOUBT).phase_in_doubt


def test_one_method_is_enough_where_the_phase_is_sure() -> None:
    """A tracker that found nothing does not block a song that its evidence and another tracker support."""
    lost = songs.steady(97.0, 28.0, 0.7)
    assert _gate(SURE, lost, FAST) == pytest.approx(1)
    assert _gate(replace(SURE, phase=PHASE_SURE - 0.1), lost, FAST) < LOW_F_MEASURE


def test_double_tempo_agrees_where_no_drum_is_between() -> None:
    """A tracker that counts twice as fast agrees only with beats that have no drum between them."""
    assert _gate(SURE, double_beats(FAST)) == pytest.approx(2 / 3, abs=0.02)
    assert _gate(replace(SURE, quiet_between=True), double_beats(FAST)) == pytest.approx(1, abs=0.02)


def test_without_another_method_there_is_no_agreement() -> None:
    assert _gate(SURE_OF_ALL) == 0
    assert consensus(FAST, [[]], SURE_OF_ALL).f_measure == 0
    assert consensus(FAST, [[np.empty(0)]], SURE_OF_ALL).f_measure == 0


pulses = st.builds(
    lambda gaps, start: start + np.cumsum(gaps),
    st.lists(st.floats(0.25, 1.5), min_size=3, max_size=40),
    st.floats(0, 9),
)


@given(
    pulses, st.lists(st.lists(pulses, max_size=2), max_size=3), st.booleans(), st.booleans(), st.floats(-9, 9)
)
def test_scores_stay_scores(
    beats: Seconds, methods: list[list[Seconds]], every: bool, quiet: bool, phase: float
) -> None:
    """For any beats: 0..1, doubt never raises it, and sure evidence never lowers it."""
    sure = PulseEvidence(every, quiet, None, None, phase)
    found = consensus(beats, methods, sure)
    assert 0 <= found.f_measure <= 1
    assert 0 <= found.cemgil <= 1
    doubtful = consensus(beats, methods, replace(sure, slower=beats[::2]))
    assert doubtful.f_measure <= found.f_measure
    assert consensus(beats, methods, replace(sure, phase=9.0)).f_measure >= found.f_measure - 1e-9
