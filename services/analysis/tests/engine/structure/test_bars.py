"""Bars from cues: each cue decides a constructed song in which the others are silent or wrong."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.features import Features, extract
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.tonal import RATE_HZ, Tonal
from k1_analysis.engine.structure import bars, downbeat_cues

_SECONDS = 50.0
_INTERVAL_S = 0.5
_BEATS: Seconds = 1.0 + _INTERVAL_S * np.arange(96, dtype=np.float64)
_NUMBERS = np.arange(len(_BEATS))
_CHORDS = ((0, 4, 7), (5, 9, 0), (7, 11, 2), (9, 0, 4))


@cache
def _silence() -> Features:
    return extract(np.zeros(int(_SECONDS * songs.RATE), np.float32))


def _harmony(changes: Seconds, passing: Seconds | None = None) -> Tonal:
    """Return features of a song whose chord changes at these times; at `passing`, another sounds for half a second."""
    frames = np.arange(int(_SECONDS * RATE_HZ)) / RATE_HZ
    chords = np.searchsorted(changes, frames + 1e-6, side="right")
    chroma = np.full((len(frames), 12), 0.05, np.float32)
    for frame, chord in enumerate(chords):
        chroma[frame, list(_CHORDS[chord % 4])] = 1
    for time in () if passing is None else passing:
        here = (frames >= time - 1e-6) & (frames < time + _INTERVAL_S - 1e-6)
        chroma[here] = np.roll(chroma[here], 6, axis=1)
    silent = np.zeros((len(frames), 13), np.float32)
    return Tonal(chroma=chroma, bass_chroma=np.zeros_like(chroma), mfcc=silent)


def _network(times: Seconds, level: float = 0.9) -> Floats:
    activation = np.full(int(_SECONDS * FRAME_RATE_HZ), 0.02, np.float32)
    activation[np.round(times * FRAME_RATE_HZ).astype(int)] = level
    return activation


def _downbeats(tonal: Tonal, activation: Floats, beats: Seconds = _BEATS) -> NDArray[np.int64]:
    return np.flatnonzero(bars.find_bars(beats, _silence(), tonal, activation).is_downbeat)


_NOTHING = _network(np.empty(0))


@pytest.mark.parametrize("accented", [2, 3, 4, 5, 6, 7])
def test_accent_of_a_metronome_gives_any_meter(accented: int) -> None:
    """The higher and louder click begins the bar, whatever the number of beats."""
    clicks = songs.steady(120.0, 19.0, 0.5)
    features = extract(songs.metronome(clicks, 20.0, accented))
    found = bars.find_bars(clicks, features, _harmony(np.empty(0)), _network(clicks[1::2]))
    assert found.beats_per_bar == accented
    assert np.flatnonzero(found.is_downbeat).tolist() == list(range(0, len(clicks), accented))


@pytest.mark.parametrize("hats", [1, 2])
def test_backbeat_without_cymbals_is_no_accent_in_two(hats: int) -> None:
    """Kick and snare alternate like the clicks of a metronome in two, but differ in their bass."""
    beats = songs.steady(120.0, 19.0, 0.5)
    features = extract(songs.drums(120.0, 20.0, kick=(0, 2), snare=(1, 3), hats=hats))
    assert not bars.find_accents(beats, np.arange(len(beats)), features.log_bands).any()


def test_clicks_over_a_tone_are_no_metronome_in_two() -> None:
    """Two clicks over another sound are a rhythm: nothing says that the louder one begins the bar."""
    clicks = songs.steady(120.0, 19.0, 0.5)
    sound = songs.metronome(clicks, 20.0, 2)
    assert bars.find_accents(clicks, np.arange(len(clicks)), extract(sound).log_bands).any()
    sound += (0.1 * np.sin(2 * np.pi * 220 * np.arange(len(sound)) / songs.RATE)).astype(np.float32)
    assert not bars.find_accents(clicks, np.arange(len(clicks)), extract(sound).log_bands).any()


def test_harmony_outweighs_an_unsure_network() -> None:
    """A network that is a little surer of other beats does not move the bar from where the chords change."""
    unsure = _network(_BEATS[2::4], 0.06)
    unsure[np.round(_BEATS[3::8] * FRAME_RATE_HZ).astype(int)] = 0.06
    assert _downbeats(_harmony(_BEATS[::4]), unsure).tolist() == list(range(0, 96, 4))


def test_passing_chord_does_not_begin_a_bar() -> None:
    """On the second beat another chord sounds, for one beat: the change is greater than that of the bar's chord."""
    passing = _harmony(_BEATS[::4], _BEATS[1::4])
    assert _downbeats(passing, _NOTHING).tolist() == list(range(0, 96, 4))


def test_two_odd_bars_do_not_shift_the_rest() -> None:
    """Chords that come two beats early for four bars are syncopated; from a cut, all bars begin elsewhere."""
    changes = _BEATS[::4].copy()
    changes[10:14] -= 2 * _INTERVAL_S
    assert _downbeats(_harmony(changes), _NOTHING).tolist() == list(range(0, 96, 4))
    cut = np.concatenate([_BEATS[:48:4], _BEATS[50::4]])
    found = _downbeats(_harmony(cut), _network(cut))
    assert found.tolist() == [*range(0, 48, 4), *range(50, 96, 4)]


@pytest.mark.parametrize("meter", [3, 4, 5])
def test_score_prefers_beats_on_which_the_harmony_changes(meter: int) -> None:
    """The network marks bars midway between the beats, as with a bass on the offbeat; the harmony knows better."""
    midway = (_BEATS[:-1] + _BEATS[1:]) / 2
    tonal, network = _harmony(_BEATS[::meter]), _network(midway[::meter])
    on = bars.find_bars(_BEATS, _silence(), tonal, network)
    off = bars.find_bars(midway, _silence(), tonal, network)
    assert on.score > off.score + 0.05


def test_contrast_compares_with_the_points_between() -> None:
    """Downbeats on which nothing changes do not stand out, although the beats differ from each other."""
    names = downbeat_cues.WEIGHTS
    flat, high = np.zeros(8), np.tile([1.0, 0.0, 0.0, 0.0], 2)
    chosen = high > 0
    assert downbeat_cues.contrast(dict.fromkeys(names, high), dict.fromkeys(names, flat[:7]), chosen) > 1
    assert downbeat_cues.contrast(dict.fromkeys(names, flat), dict.fromkeys(names, high[:7]), chosen) < 0


@given(st.integers(0, 11), st.integers(0, 3), st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_bars_do_not_depend_on_the_key(semitones: int, phase: int, level: float) -> None:
    """A transposed song has the same bars with the same score."""
    tonal = _harmony(_BEATS[phase::4])
    moved = replace(tonal, chroma=np.roll(tonal.chroma, semitones, axis=1))
    activation = _network(_BEATS[phase::4], level)
    one = bars.find_bars(_BEATS, _silence(), tonal, activation)
    other = bars.find_bars(_BEATS, _silence(), moved, activation)
    assert one.is_downbeat.tolist() == other.is_downbeat.tolist()
    assert one.score == pytest.approx(other.score, abs=1e-4)
