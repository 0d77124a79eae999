"""Stretches of a recording: the values of the whole, with times from the start of the stretch."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_analysis.engine.audio.features import Envelopes, extract
from k1_analysis.engine.audio.tonal import TonalExtractor
from k1_analysis.engine.testing import song, steady
from training.decision.windows import Recording, cut, spans, times_within

BEATS = steady(120, 12.0, 0.25)


@pytest.fixture(scope="module")
def recording():
    samples = song(BEATS)
    features = extract(samples)
    tonal = TonalExtractor()
    tonal.push(samples)
    activation = np.random.default_rng(0).random((len(features.log_bands), 2)).astype(np.float32)
    return Recording(features, tonal.finish(), activation, {"degara": BEATS, "multifeature": BEATS[::2]})


def test_a_stretch_has_the_values_of_the_whole(recording):
    """At 0.5 s of the stretch from 4 s are the values that the whole has at 4.5 s, at every rate."""
    part = cut(recording, (4, 9))
    for name, rate in (("log_bands", 100), ("onsets", 100), ("attack", 300)):
        whole, short = getattr(recording.features, name), getattr(part.features, name)
        assert len(short) == 5 * rate
        np.testing.assert_array_equal(short, whole[4 * rate : 9 * rate])
    for each in fields(Envelopes):
        whole, short = (getattr(one.features.envelopes, each.name) for one in (recording, part))
        np.testing.assert_array_equal(short, whole[80:180])
    for name in ("chroma", "bass_chroma", "mfcc"):
        np.testing.assert_array_equal(getattr(part.tonal, name), getattr(recording.tonal, name)[40:90])
    np.testing.assert_array_equal(part.activation, recording.activation[400:900])
    assert part.duration_s == 5


def test_the_beats_of_a_stretch_count_from_its_start(recording):
    part = cut(recording, (4, 9))
    assert part.trackers["degara"] == pytest.approx(steady(120, 5.0, 0.25))
    assert part.trackers["multifeature"] == pytest.approx(
        BEATS[::2][(BEATS[::2] >= 4) & (BEATS[::2] < 9)] - 4
    )


def test_a_stretch_of_sound_is_audible_to_its_end(recording):
    part = cut(recording, (4, 9))
    assert (part.audible.start_s, part.audible.end_s) == (0, 5)


def test_an_onset_keeps_its_place(recording):
    """The strongest attack near a beat of the stretch is at the beat."""
    part = cut(recording, (4, 9))
    beat = part.trackers["degara"][2]
    near = part.features.attack[round((beat - 0.2) * 300) : round((beat + 0.2) * 300)]
    assert near.argmax() / 300 - 0.2 == pytest.approx(0, abs=0.03)


@given(st.integers(0, 1300), st.integers(1, 90))
def test_spans_follow_each_other(duration, length):
    found = spans(duration, length)
    assert [start for start, _ in found] == [number * length for number in range(len(found))]
    for start, end in found:
        assert start < end <= duration
        assert end - start <= length
        assert 2 * (end - start) >= length
    covered = found[-1][1] if found else 0
    assert 2 * (duration - covered) <= length + 1


@given(st.lists(st.floats(0, 200), max_size=50), st.integers(2, 40))
def test_each_time_is_in_one_stretch(times, length):
    rising = np.sort(np.array(times, float))
    whole = [times_within(rising, (start, start + length)) + start for start in range(0, 201, length)]
    assert np.concatenate(whole) == pytest.approx(rising)
