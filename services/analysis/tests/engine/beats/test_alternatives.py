"""The other interpretations that a person can switch to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.audio.levels import AudibleRange
from k1_analysis.engine.beats.agreement.scores import f_measure
from k1_analysis.engine.beats.alternatives import (
    MOST_ALTERNATIVES,
    SAME_BEATS,
    Alternative,
    alternatives,
)
from k1_analysis.engine.beats.interpretations import interpretation_score

BEATS = np.arange(0.5, 30.0, 0.37)
AUDIBLE = AudibleRange(0.0, 30.0, [])


def _odds(beats: Seconds) -> float:
    activation = np.zeros(3100, np.float32)
    activation[np.round(BEATS * 100).astype(int)] = 1
    return interpretation_score(beats, activation)


def _found(downbeats: Seconds, **options: object) -> list[Alternative]:
    chosen = {"trackers": {}} | options
    return alternatives(BEATS, downbeats, AUDIBLE, odds=_odds, **chosen)  # pyright: ignore[reportArgumentType]


def _of_kind(found: list[Alternative], kind: str) -> Alternative:
    [other] = [each for each in found if each.kind == kind]
    return other


def test_fast_three_offers_its_bars_as_beats() -> None:
    """For a waltz, or a 6/8, one beat a bar is among the alternatives, and has no bars of its own."""
    found = _found(BEATS[::3], one_beat_a_bar=True)
    assert sorted(other.kind for other in found) == ["double", "half", "half", "offbeat", "other"]
    bars = _of_kind(found, "other")
    assert bars.beats.tolist() == BEATS[::3].tolist()
    assert bars.downbeats is None


def test_trackers_that_found_other_beats_are_offered() -> None:
    """A tracker's beats are offered with its name, unless they are the main ones or those of another alternative."""
    other = songs.steady(97.0, 29.0, 0.7)
    trackers = {
        "same": BEATS + 0.01,
        "half": BEATS[1::2],
        "degara": other,
        "again": other + 0.01,
        "none": np.empty(0),
    }
    found = _found(BEATS[::4], trackers=trackers)
    assert [each.source for each in found if each.source] == ["degara"]
    [degara] = [each for each in found if each.source]
    assert (degara.kind, degara.beats.tolist()) == ("other", other.tolist())
    assert [each.kind for each in found].count("half") == 2


def test_another_level_that_is_as_likely_is_offered() -> None:
    """Every third beat of a 6/8 that was read in quavers can be chosen."""
    found = _found(BEATS[::6], other_level=BEATS[::3])
    other = _of_kind(found, "other")
    assert other.source is None
    assert other.beats.tolist() == BEATS[::3].tolist()
    assert other.downbeats is not None
    assert other.downbeats.tolist() == BEATS[::6].tolist()
    assert len(_found(BEATS[::4], other_level=BEATS[::2])) == len(_found(BEATS[::4]))


def test_the_likeliest_comes_first_and_there_are_at_most_eight() -> None:
    """Of more trackers than fit, those with the lowest scores are left out, and no derived interpretation."""
    trackers = {str(bpm): songs.steady(float(bpm), 29.0, 0.6) for bpm in range(60, 150, 9)}
    found = _found(BEATS[::4], trackers=trackers)
    assert len(found) == MOST_ALTERNATIVES
    assert [other.kind for other in found if not other.source].count("half") == 2
    scores = [other.score for other in found]
    assert scores == sorted(scores, reverse=True)
    left_out = set(trackers) - {other.source for other in found}
    assert max(_odds(trackers[name]) for name in left_out) <= min(
        _odds(other.beats) for other in found if other.source
    )
    total = 1 + sum(_odds(other.beats) for other in found)
    assert scores == pytest.approx([_odds(other.beats) / total for other in found])


@pytest.mark.parametrize(
    ("metre", "first", "expected"),
    [(4, 0, BEATS[::4]), (3, 0, BEATS[::6])],
    ids=["every bar of four", "every other bar of three"],
)
def test_bars_at_half_tempo(metre: int, first: int, expected: Seconds) -> None:
    """The downbeats on the slower beats stay downbeats; in three these are every other bar's."""
    halves = [other for other in _found(BEATS[first::metre]) if other.kind == "half"]
    [in_phase] = [other for other in halves if other.beats[0] == BEATS[0]]
    assert in_phase.downbeats is not None
    assert in_phase.downbeats.tolist() == expected.tolist()


def test_bars_of_the_other_phases_begin_after_the_downbeats() -> None:
    """On the offbeats no beat is a downbeat: the next one begins the bar."""
    found = _found(BEATS[::4])
    offbeat = _of_kind(found, "offbeat")
    assert offbeat.downbeats is not None
    assert offbeat.downbeats == pytest.approx(BEATS[::4] + 0.185)
    [late] = [other for other in found if other.kind == "half" and other.beats[0] != BEATS[0]]
    assert late.downbeats is not None
    assert late.downbeats.tolist() == BEATS[1::4].tolist()


pulses = st.builds(
    lambda gaps, start: start + np.cumsum(gaps),
    st.lists(st.floats(0.25, 1.5), max_size=60),
    st.floats(0, 9),
)


@given(pulses, st.integers(1, 7), st.dictionaries(st.sampled_from("abcdef"), pulses), st.floats(0, 20))
@settings(max_examples=60)
def test_any_beats_give_distinct_rising_audible_alternatives(
    beats: Seconds, metre: int, trackers: dict[str, Seconds], silent: float
) -> None:
    """Rising, within the music, scored 0..1, in order, not twice the same, with downbeats that are beats."""
    audible = AudibleRange(1.0, 40.0, [(silent, silent + 3)])
    found = alternatives(beats, beats[::metre], audible, odds=_odds, trackers=trackers)
    assert len(found) <= MOST_ALTERNATIVES
    assert [other.score for other in found] == sorted((other.score for other in found), reverse=True)
    for index, other in enumerate(found):
        assert (np.diff(other.beats) > 0).all()
        assert audible.covers(other.beats).all()
        assert 0 <= other.score <= 1
        assert other.downbeats is None or set(other.downbeats) <= set(other.beats)
        heard = beats[audible.covers(beats)]
        assert all(
            f_measure(times, other.beats) <= SAME_BEATS
            for times in (heard, *(each.beats for each in found[:index]))
        )
