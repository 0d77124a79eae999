"""The key from pitch classes: the profile names the notes, the beginnings of phrases the tonic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.audio.tonal import RATE_HZ
from k1_analysis.engine.beats.trackers import essentia
from k1_analysis.engine.structure import key

_BEATS: Seconds = 0.5 * np.arange(128, dtype=np.float64)
_DOWNBEATS: NDArray[np.bool_] = np.arange(128) % 4 == 0
_ONE_SECTION: Seconds = np.zeros(1)
_NO_BEATS: Seconds = np.empty(0)
_AM, _F, _C, _G, _DM = (9, 0, 4), (5, 9, 0), (0, 4, 7), (7, 11, 2), (2, 5, 9)


def _played(bars: list[tuple[int, int, int]], semitones: int = 0) -> Floats:
    """Return the pitch classes of chords, one a bar of two seconds."""
    rows = np.full((len(bars) * 2 * RATE_HZ, 12), 0.05, np.float32)
    for bar, chord in enumerate(bars):
        rows[bar * 2 * RATE_HZ : (bar + 1) * 2 * RATE_HZ, [(note + semitones) % 12 for note in chord]] = 1
    return rows


def _found(pitches: Floats, sections: Seconds = _ONE_SECTION) -> tuple[str, str]:
    found = key.find_key(pitches, _BEATS, _DOWNBEATS, sections)
    assert found is not None
    assert 0 < found.strength <= 1
    return found.tonic, found.scale


@pytest.mark.parametrize(("first", "expected"), [(0, ("A", "minor")), (2, ("C", "major"))])
def test_same_chords_have_the_key_in_which_phrases_begin(first: int, expected: tuple[str, str]) -> None:
    """The loop Am F C G has the notes of C major and of A minor: the first chord of each four bars decides."""
    loop = [_AM, _F, _C, _G] * 8
    assert _found(_played(loop[first:] + loop[:first])) == expected


def test_phrases_are_counted_anew_in_each_section() -> None:
    """After an intro of one bar, every fourth bar of the song is the last of a phrase."""
    song = _played([_G, *([_AM, _F, _C, _G] * 8)][:32])
    assert _found(song) == ("C", "major")
    intro = np.array([0.0, 2.0])
    mixed = _played([_F, *([_AM, _G, _C, _G, _AM, _F, _DM, _G] * 4)][:32])
    assert _found(mixed, intro) == ("A", "minor")
    assert _found(mixed) != ("A", "minor")
    starts = key.phrase_starts(_BEATS, _DOWNBEATS, np.array([0.0, 10.0, 30.0]))
    assert starts[:4].tolist() == [0, 16, 20, 36]
    assert 60 in starts


def test_loop_that_runs_through_sections_keeps_its_count() -> None:
    """Sections of five bars over a loop of four do not move the beginning of the loop."""
    sections = np.arange(0.0, 60.0, 10.0)
    assert _found(_played([_AM, _F, _C, _G] * 8), sections) == ("A", "minor")


def test_without_beats_the_profile_decides() -> None:
    """The notes of D major, its tonic most often."""
    pitches = np.full((100, 12), 0.05, np.float32)
    pitches[:, [2, 4, 6, 7, 9, 11, 1]] = (1.0, 0.5, 0.7, 0.5, 0.9, 0.5, 0.4)
    found = key.find_key(pitches, _NO_BEATS, np.empty(0, bool), _ONE_SECTION)
    assert found is not None
    assert (found.tonic, found.scale) == ("D", "major")


@pytest.mark.parametrize("pitches", [np.empty((0, 12)), np.zeros((50, 12)), np.full((50, 12), 0.3)])
def test_no_pitches_have_no_key(pitches: NDArray[np.float64]) -> None:
    """Silence, or every pitch class as strong as the others, has none."""
    assert key.find_key(pitches.astype(np.float32), _BEATS, _DOWNBEATS, _ONE_SECTION) is None


@given(
    st.lists(st.sampled_from([_AM, _F, _C, _G, _DM, (4, 8, 11)]), min_size=32, max_size=32),
    st.integers(1, 11),
)
@settings(max_examples=40, deadline=None)
def test_transposed_song_has_the_transposed_key(chords: list[tuple[int, int, int]], semitones: int) -> None:
    """Everything a number of semitones higher has its tonic as many higher, in the same scale and as sure."""
    one = key.find_key(_played(chords), _BEATS, _DOWNBEATS, _ONE_SECTION)
    other = key.find_key(_played(chords, semitones), _BEATS, _DOWNBEATS, _ONE_SECTION)
    assert one is not None
    assert other is not None
    # A tie of relative keys may fall either way.
    if one.scale == other.scale:
        assert one.strength == pytest.approx(other.strength, abs=1e-6)
        assert (key.NAMES.index(other.tonic) - key.NAMES.index(one.tonic)) % 12 == semitones


def test_pitch_classes_keep_their_times_across_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chord that changes in the overlap of two windows changes at its time, to a tenth of a second."""
    monkeypatch.setattr(essentia, "WINDOW_S", 20.0)
    times = np.arange(40 * songs.RATE) / songs.RATE
    low, high = (
        sum(np.sin(2 * np.pi * hertz * ratio * times) / ratio for ratio in (1, 2, 3))
        for hertz in (220.0, 261.63)
    )
    sound = (0.2 * np.where(times < 15, low, high)).astype(np.float32)
    found = essentia.track([sound[: songs.RATE * 13], sound[songs.RATE * 13 :]], ("harmony",)).harmony
    assert len(found) == 40 * RATE_HZ
    assert set(found[2:148].argmax(axis=1)) == {9}
    assert set(found[151:-2].argmax(axis=1)) == {0}
