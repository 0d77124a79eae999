"""Silence, offsets, noise and faint signals: all numbers stay finite, and silence has no beats."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_analysis import engine
from k1_analysis.engine import pipeline
from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.features import extract
from k1_analysis.engine.audio.levels import SILENCE_EDGE_S, AudibleRange, find_audible, find_silences
from k1_analysis.engine.audio.tonal import TonalExtractor
from k1_analysis.engine.beats.agreement.scores import f_measure
from k1_analysis.engine.beats.refinement import attack_curve, onset_curve
from k1_analysis.engine.beats.rhythm import Rhythm, find_rhythm, preview_beats, track_members
from k1_analysis.engine.beats.trackers import essentia
from k1_analysis.engine.beats.trackers.activation import default_net
from k1_analysis.engine.finite import NotFiniteError, require_finite
from k1_analysis.engine.structure.sections import Section, find_sections
from k1_contracts.genesis import GenesisMap

SECOND = songs.RATE
ROUNDING_S = 1e-4
"""The map's times are rounded to this."""


def _silent_beats(genesis: GenesisMap) -> list[float]:
    """Return the beats, in ms, that are inside a silence of the map."""
    edge_ms = 1000 * (SILENCE_EDGE_S + ROUNDING_S)
    return [
        beat
        for silence in genesis.layers.annotations.silence
        for beat in genesis.layers.rhythm.beat_grid_ms
        if silence.start_ms + edge_ms < beat < silence.end_ms - edge_ms
    ]


MUSIC_BEATS = songs.steady(126.0, 20.0, 0.3)


def _with_silence(at_s: float, length_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a song of 21 s with inserted silence, its beats and its downbeats."""
    music = songs.song(MUSIC_BEATS)
    music += 0.002 * np.random.default_rng(0).standard_normal(len(music))  # as a recording has
    cut = int(at_s * SECOND)
    samples = np.concatenate([music[:cut], np.zeros(int(length_s * SECOND), np.float32), music[cut:]])
    moved = np.where(at_s <= MUSIC_BEATS, MUSIC_BEATS + length_s, MUSIC_BEATS)
    return samples, moved, moved[::4]


def test_a_constant_offset_is_no_sound(tmp_path: Path) -> None:
    """Cheap sound cards record one: silence is marked beside it, and has no beats."""
    samples, beats, _ = _with_silence(21.0, 6.0)
    genesis = engine.analyse_file(
        songs.write(tmp_path / "song.wav", 0.5 * samples + 0.3), filename="song"
    ).genesis
    assert [silence.start_ms for silence in genesis.layers.annotations.silence] == [
        pytest.approx(21_000, abs=300)
    ]
    assert not _silent_beats(genesis)
    assert f_measure(beats, np.array(genesis.layers.rhythm.beat_grid_ms) / 1000) > 0.95


def test_an_offset_alone_has_no_beats(tmp_path: Path) -> None:
    """Its rounding errors are not music."""
    path = songs.write(tmp_path / "song.wav", np.full(20 * SECOND, 0.5, np.float32))
    assert not engine.analyse_file(path, filename="song").genesis.layers.rhythm.beat_grid_ms


def test_samples_that_had_to_be_silenced_are_not_called_silence(tmp_path: Path) -> None:
    """The map of a file of NaN warns about the damage."""
    path = tmp_path / "song.wav"
    soundfile.write(path, np.full(6 * SECOND, np.nan), SECOND, subtype="FLOAT")
    codes = [warning.code for warning in engine.analyse_file(path, filename="song").genesis.metadata.warnings]
    assert codes == ["not_finite", "no_beats"]


@pytest.mark.parametrize(
    ("at_s", "length_s"), [(21.0, 6.0), (0.0, 5.0), (10.2, 5.0)], ids=["after", "before", "within"]
)
def test_silence_has_no_beats_and_costs_the_music_none(tmp_path: Path, at_s: float, length_s: float) -> None:
    """Digital silence anywhere gives a map: the music has its beats, bars and tempo, the silence has no beat."""
    samples, beats, downbeats = _with_silence(at_s, length_s)
    genesis = engine.analyse_file(songs.write(tmp_path / "song.wav", samples), filename="song.wav").genesis
    rhythm = genesis.layers.rhythm
    assert _silent_beats(genesis) == []
    assert f_measure(beats, np.array(rhythm.beat_grid_ms) / 1000) > 0.95
    assert f_measure(downbeats, np.array(rhythm.downbeat_ms) / 1000) > 0.9
    assert genesis.global_metrics.bpm == pytest.approx(126.0, abs=0.5)
    assert [point.bpm for point in rhythm.tempo_curve] == pytest.approx(
        [126.0] * len(rhythm.tempo_curve), rel=0.05
    )
    for other in rhythm.alternatives or []:
        assert all(
            beat <= silence.start_ms + 51 or beat >= silence.end_ms - 51
            for beat in other.beat_grid_ms
            for silence in genesis.layers.annotations.silence
        )


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0.5, 3)), max_size=4), st.floats(0, 12))
def test_times_in_silence_are_not_covered(spans: list[tuple[float, float]], time: float) -> None:
    """A time is covered unless it is further inside a silence than the precision of its edges."""
    silent: list[tuple[float, float]] = []
    for start, length in sorted(spans):
        if not silent or start > silent[-1][1]:
            silent.append((start, start + length))
    inside = any(start + SILENCE_EDGE_S < time < end - SILENCE_EDGE_S for start, end in silent)
    assert AudibleRange(0.0, 12.0, silent).covers(np.array([time])).tolist() == [not inside]


Piece = tuple[str, float, float]
"""Kind, seconds, level."""
KINDS = ("silence", "dc", "clipped", "impulses", "noise", "faint", "music", "tone")
pieces = st.lists(
    st.tuples(st.sampled_from(KINDS), st.floats(0, 4), st.floats(0.001, 1)), min_size=1, max_size=4
)


def _piece(kind: str, seconds: float, level: float) -> np.ndarray:
    length = int(seconds * SECOND)
    rng = np.random.default_rng(length)
    noise = rng.standard_normal(length)
    time = np.arange(length) / SECOND
    made = {
        "silence": np.zeros(length),
        "dc": np.full(length, level),
        "clipped": 16.0 * np.sign(noise),
        "impulses": (rng.random(length) < 2 / SECOND) * level,
        "noise": level * noise,
        "faint": 1e-40 * noise,
        "music": level * songs.song(songs.steady(120.0, seconds + 1))[:length],
        "tone": level * np.sin(2 * np.pi * 440 * time),
    }
    return made[kind].astype(np.float32)


@dataclass(frozen=True)
class _Found:
    rhythm: Rhythm
    audible: AudibleRange


def _found(samples: np.ndarray) -> _Found:
    """Run every stage on samples, and check the results of each."""
    tones = TonalExtractor()
    tones.push(samples)
    features = require_finite("features", extract(samples))
    tonal = require_finite("tonal", tones.finish())
    require_finite("onsets", (onset_curve(features.onsets), attack_curve(features.attack)))
    activation = require_finite("network", default_net()(features.log_bands))
    require_finite("preview", preview_beats(features, activation))
    duration_s = len(samples) / SECOND
    audible = find_audible(find_silences(features.envelopes, duration_s), duration_s)
    members = track_members(features, activation)
    rhythm = find_rhythm(features, tonal, activation, members=members, audible=audible)
    require_finite("rhythm", rhythm)
    downbeats = rhythm.beats[rhythm.bars.is_downbeat]
    require_finite("sections", find_sections(features, tonal, downbeats, duration_s, electronic=True))
    return _Found(rhythm, audible)


@given(pieces)
@settings(max_examples=30, deadline=None)
def test_no_stage_gives_numbers_that_are_not_finite(song: list[Piece]) -> None:
    """Silence, DC, clipping, impulses, noise and the faintest signals, of any length: finite, no silent beats."""
    samples = np.concatenate([_piece(*piece) for piece in song])
    found = _found(samples if len(samples) else np.zeros(1, np.float32))
    interpretations = [found.rhythm.beats, *(other.beats for other in found.rhythm.alternatives)]
    assert all(found.audible.covers(times).all() for times in interpretations)
    assert len(found.rhythm.tempo_curve) <= len(found.rhythm.beats)


@given(st.integers(0, 2000), st.integers(0, 2000), st.floats(0.01, 1000))
@settings(max_examples=50)
def test_running_means_survive_silence_after_music(music: int, silence: int, level: float) -> None:
    """Rounding errors of a running sum never make a root or a logarithm of a number below zero."""
    rng = np.random.default_rng(music)
    onsets = np.concatenate([level * rng.random((music + 1, 4)), np.zeros((silence, 4))]).astype(np.float32)
    require_finite("onsets", (onset_curve(onsets), attack_curve(np.repeat(onsets[:, 0], 3))))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_check_names_the_stage_and_the_field(bad: float) -> None:
    """The error names the stage and the field, also after pickling."""
    samples = np.ones(3, np.float32)
    samples[1] = bad
    for result in (samples, [(bad,)], {"a": samples}):
        with pytest.raises(NotFiniteError, match="stage 'loudness'"):
            require_finite("loudness", result)
    envelopes = extract(np.zeros(4410, np.float32)).envelopes
    envelopes.rms[0] = bad
    with pytest.raises(NotFiniteError, match="rms") as caught:
        require_finite("features", envelopes)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    whole = ("text", None, 1, 0.5)
    assert require_finite("any", whole) is whole


def test_stage_with_a_bad_number_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that is not finite ends the analysis in its stage, not when the JSON of the map is written."""
    section = Section(0.0, 3.0, "section", np.nan)
    monkeypatch.setattr(pipeline, "find_sections", lambda *_, **__: [section])
    with pytest.raises(NotFiniteError, match="'sections' gave a number that is not finite: energy"):
        engine.analyse_file(
            songs.write(tmp_path / "song.wav", songs.song(songs.steady(120, 2))), filename="s"
        )


def test_tracker_that_answers_nan_gave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result of Essentia that is not finite counts as none, as when it raises."""
    monkeypatch.setitem(essentia._MEASURES, "danceability", lambda *_: np.nan)
    found = essentia.track([songs.song(songs.steady(120, 6))], ("danceability",))
    assert (found.failed, found.danceability) == (("danceability",), 0.0)
