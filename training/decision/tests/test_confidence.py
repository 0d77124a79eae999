"""The fit of the confidences: the engine states with the weights what the fit predicted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.beats.dataset import AnnotatedTrack
from k1_analysis.engine.audio.features import extract
from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.audio.tonal import TonalExtractor
from k1_analysis.engine.beats.agreement import confidence as engine
from k1_analysis.engine.beats.agreement.committee import MemberName
from k1_analysis.engine.beats.rhythm import find_rhythm, track_members
from k1_analysis.engine.beats.trackers.activation import default_net
from k1_analysis.engine.testing import song, steady
from training.decision.cases import Case, cases_of, evidence
from training.decision.confidence import (
    REAL_SHARE,
    Weights,
    cross_validated,
    dataclasses_of,
    fit,
    importance_of,
    state,
    table,
    tables,
)
from training.decision.regression import probability
from training.decision.windows import Recording

SHIPPED = Weights(
    *(
        np.array([getattr(each, name) for name in each.__slots__])
        for each in (engine.TRACK, engine.TEMPO, engine.BEAT)
    )
)


def track_of(beats, **given):
    return AnnotatedTrack("song", "test", Path("song.wav"), beats, **given)


@pytest.fixture(scope="module")
def recording():
    beats = steady(118, 45.0, 0.3)
    samples = song(beats)
    tonal = TonalExtractor()
    tonal.push(samples)
    features = extract(samples)
    trackers: dict[MemberName, Seconds] = {"degara": beats + 0.01, "multifeature": beats[::2]}
    return beats, Recording(features, tonal.finish(), default_net()(features.log_bands), trackers)


@pytest.fixture(scope="module")
def rhythm(recording):
    _, one = recording
    members = track_members(one.features, one.activation) | dict(one.trackers)
    return find_rhythm(one.features, one.tonal, one.activation, members=members, audible=one.audible)


def random_cases(count=60):
    """Cases of ten songs whose outcomes follow from their evidence."""
    rng = np.random.default_rng(5)
    cases = []
    for number in range(count):
        agreement, grid, phase, level = rng.random(), rng.random() < 0.5, rng.uniform(0, 5), rng.uniform(0, 3)
        f = float(1 / (1 + np.exp(1.5 - agreement - 2 * grid - 0.4 * level)))
        members, activation = rng.random((2, 12))
        hits = (rng.random(12) < f).astype(float)
        case = Case(
            song=f"song {number % 10}",
            real=number % 10 < 4,
            whole=number < 10,
            agreement=agreement,
            votes=agreement,
            grid=grid,
            phase=phase,
            level=level,
            level_in_doubt=False,
            members=members,
            activation=activation,
            f=f,
            tempo_right=bool(grid),
            hits=hits,
        )
        cases.append(case)
    return cases


def test_the_evidence_is_the_engines(recording, rhythm):
    """With the shipped weights, a case states the confidences of the rhythm that it was taken from."""
    beats, one = recording
    stated = state(SHIPPED, evidence(track_of(beats), rhythm, one.activation[:, 0], whole=True))
    assert stated.track == pytest.approx(rhythm.track_confidence)
    assert stated.tempo == pytest.approx(rhythm.tempo_confidence)
    assert stated.beats == pytest.approx(rhythm.beat_confidence)


def test_the_outcomes_follow_the_annotation(recording, rhythm):
    beats, one = recording
    right = evidence(track_of(beats), rhythm, one.activation[:, 0], whole=True)
    assert right.f > 0.95
    assert right.tempo_right
    assert right.hits.mean() > 0.95
    midway = evidence(track_of(beats[:-1] + np.diff(beats) / 2), rhythm, one.activation[:, 0], whole=True)
    assert midway.f < 0.05
    assert midway.tempo_right
    assert midway.hits.mean() < 0.05


def test_a_song_gives_itself_and_its_stretches(recording):
    beats, one = recording
    found = list(cases_of(track_of(beats, generated=True), one))
    assert [case.whole for case in found] == [True, False]
    assert not any(case.real for case in found)
    assert len(found[1].hits) == pytest.approx(40 * 118 / 60, abs=3)


def test_half_the_beats_are_right_where_the_level_is_uncertain(recording):
    beats, one = recording
    doubled = np.sort(np.concatenate([beats, beats[:-1] + np.diff(beats) / 2]))
    certain = next(cases_of(track_of(doubled), one))
    uncertain = next(cases_of(track_of(doubled, level_uncertain=True), one))
    assert certain.f < 0.8
    assert not certain.tempo_right
    assert uncertain.f > 0.95
    assert uncertain.tempo_right


def test_a_doubtful_level_limits_the_confidence():
    sure = replace(random_cases(1)[0], grid=True, phase=5.0, level=3.0, level_in_doubt=False)
    stated, doubtful = state(SHIPPED, sure), state(SHIPPED, replace(sure, level_in_doubt=True))
    assert doubtful.track == engine.DOUBTFUL_LEVEL < stated.track
    assert doubtful.tempo == engine.DOUBTFUL_TEMPO < stated.tempo
    assert (doubtful.beats < stated.beats).all()


def test_real_songs_have_their_share():
    cases = random_cases()
    importance = importance_of(cases)
    assert importance.sum() == pytest.approx(1)
    assert importance[[case.real for case in cases]].sum() == pytest.approx(REAL_SHARE)
    assert importance_of(cases[:3]) == pytest.approx(np.full(3, 1 / 3))


def test_fit_predicts_the_outcomes():
    cases = random_cases()
    weights = fit(cases)
    predicted = probability(weights.track, np.array([case.track_evidence for case in cases]))
    assert np.corrcoef(predicted, [case.f for case in cases])[0, 1] > 0.95
    tempo = [state(weights, case).tempo for case in cases]
    assert min(t for t, case in zip(tempo, cases, strict=True) if case.tempo_right) > 0.5
    track, tempo_weights, beat = dataclasses_of(weights)
    assert track.grid == pytest.approx(weights.track[2], abs=0.005)
    assert tempo_weights.level == pytest.approx(weights.tempo[3], abs=0.005)
    assert beat.activation == pytest.approx(weights.beat[3], abs=0.005)


def test_a_song_has_no_say_in_its_own_confidence():
    """Whatever came true of a song, what is stated of it stays the same."""
    cases = random_cases()
    changed = [
        replace(case, f=1 - case.f, hits=1 - case.hits) if case.song == "song 3" else case for case in cases
    ]
    before, after = cross_validated(cases), cross_validated(changed)
    own = [case.song == "song 3" for case in cases]
    for same, first, second in zip(own, before, after, strict=True):
        if same:
            assert first.track == second.track
            np.testing.assert_array_equal(first.beats, second.beats)
    assert any(first.track != second.track for first, second in zip(before, after, strict=True))


def test_the_counts_of_the_bins_add_up():
    cases = random_cases()
    lines = tables(cases, cross_validated(cases))
    counts = {}
    for title, bins in zip(lines[1::2], lines[2::2], strict=True):
        counts[title.split(":")[0]] = sum(int(part.split(")")[0]) for part in bins.split("(")[1:])
    of_kind = {"real, whole": 4, "real, stretches": 20, "generated, whole": 6, "generated, stretches": 30}
    assert counts == {
        f"{level}, {kind}": count * (12 if level == "beat" else 1)
        for kind, count in of_kind.items()
        for level in ("track", "tempo", "beat")
    }


def test_a_table_states_the_gap():
    lines = table("track", [(0.85, 1.0), (0.85, 0.5), (0.15, 0.05)])
    assert lines == ["track: expected calibration error 0.100", "  0.15/0.05 (1)  0.85/0.75 (2)"]
    assert table("track", []) == []
