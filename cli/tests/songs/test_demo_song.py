"""The demo song: its ground truth is exact, its form is complete, and the audio matches the ground truth."""

import json
import math
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_cli.songs.demo import synth
from k1_cli.songs.demo.arrangement import render
from k1_cli.songs.demo.song import DemoSong, form
from k1_cli.songs.demo.wav_file import write_demo_song

tempi = st.floats(60, 200, allow_nan=False)
lengths = st.floats(25, 900, allow_nan=False)
seeds = st.integers(0, 2**32 - 1)


@given(bpm=tempi, seconds=lengths, seed=seeds)
def test_beats_lie_exactly_on_the_tempo(bpm: float, seconds: float, seed: int) -> None:
    """Every beat follows from the tempo, to a microsecond, with four beats per bar."""
    truth = DemoSong(bpm=bpm, seconds=seconds, seed=seed).ground_truth
    expected = [truth.beats[0] + index * 60 / bpm for index in range(len(truth.beats))]
    assert np.allclose(truth.beats, expected, rtol=0, atol=1.1e-6)
    assert truth.downbeats == truth.beats[::4]
    assert len(truth.beats) % 4 == 0


@given(bpm=tempi, seconds=lengths, seed=seeds)
def test_sections_tile_the_song_on_downbeats(bpm: float, seconds: float, seed: int) -> None:
    """Sections follow one another without gap, each starts on a downbeat, and the form is complete."""
    truth = DemoSong(bpm=bpm, seconds=seconds, seed=seed).ground_truth
    assert [section.label for section in truth.sections] == [
        "intro",
        "build",
        "drop",
        "breakdown",
        "drop",
        "outro",
    ]
    assert {section.start for section in truth.sections} <= set(truth.downbeats)
    assert all(left.end == right.start for left, right in pairwise(truth.sections))
    assert truth.sections[0].start == truth.beats[0]
    assert truth.beats[-1] < truth.sections[-1].end < truth.duration


@given(bpm=tempi, seconds=lengths)
def test_the_length_is_the_asked_one_to_half_a_bar(bpm: float, seconds: float) -> None:
    """The length is the nearest whole number of bars."""
    song = DemoSong(bpm=bpm, seconds=seconds)
    played = song.ground_truth.sections[-1].end - song.ground_truth.sections[0].start
    assert abs(played - seconds) <= song.bar_s / 2 + 1e-5


@given(bars=st.integers(6, 2000))
def test_the_form_uses_every_bar(bars: int) -> None:
    """Nothing is lost in rounding, no section vanishes, and a drop is never shorter than the intro."""
    lengths_by_section = form(bars)
    counts = [length for _, length in lengths_by_section]
    assert sum(counts) == bars
    assert min(counts) >= 1
    assert counts[2] >= counts[0]


@pytest.mark.parametrize(
    ("bpm", "seconds", "said"), [(20, 60, "tempo"), (300, 60, "tempo"), (126, 1, "last"), (126, 1e6, "last")]
)
def test_the_error_names_the_limits(bpm: float, seconds: float, said: str) -> None:
    """The error names the limits."""
    with pytest.raises(ValueError, match=said):
        DemoSong(bpm=bpm, seconds=seconds)


@settings(max_examples=6)
@given(bpm=st.floats(90, 180), seed=seeds)
def test_it_is_loud_finite_and_never_clips(bpm: float, seed: int) -> None:
    """The audio is stereo float32 with its peak at -1 dBFS, about as loud as dance music, with sound on both sides."""
    samples = render(DemoSong(bpm=bpm, seconds=16, seed=seed))
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert math.isclose(np.max(np.abs(samples)), 10 ** (-1 / 20), rel_tol=1e-3)
    loudness_db = 20 * np.log10(np.sqrt(np.mean(samples**2, axis=1)))
    assert (loudness_db > -20).all()
    assert (loudness_db < -6).all()


def test_kicks_sound_on_the_beats_of_the_drop() -> None:
    """In the drop the energy of the low band rises within 12 ms of every beat of the ground truth."""
    song = DemoSong(bpm=126, seconds=30)
    low = render(song).mean(axis=0)
    drop = next(section for section in song.ground_truth.sections if section.label == "drop")
    for beat in (beat for beat in song.ground_truth.beats if drop.start <= beat < drop.end):
        at = round(beat * synth.SAMPLE_RATE_HZ)
        before = np.sum(low[at - 800 : at - 100] ** 2)
        after = np.sum(low[at : at + 700] ** 2)
        assert after > 1.5 * before


def test_the_same_seed_is_the_same_song_and_another_is_not(tmp_path: Path) -> None:
    """The same seed gives the same bytes on one machine; another seed changes the music, not the beats."""
    names = [("a", 1), ("b", 1), ("c", 2)]
    truths = [write_demo_song(tmp_path / f"{name}.wav", seconds=12, seed=seed) for name, seed in names]
    first, second, other = ((tmp_path / f"{name}.wav").read_bytes() for name, _ in names)
    assert first == second
    assert first != other
    assert truths[0].beats == truths[2].beats


def test_the_files_are_a_wav_and_its_truth(tmp_path: Path) -> None:
    """The files are The files are 16-bit stereo at 44.1 kHz, and JSON with beats, downbeats and sections in seconds."""
    truth = write_demo_song(tmp_path / "song.wav", seconds=12)
    with wave.open(str(tmp_path / "song.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 44_100)
        assert file.getnframes() / 44_100 == pytest.approx(truth.duration)
    written = json.loads((tmp_path / "song.json").read_text())
    assert written["beats"] == list(truth.beats)
    assert written["downbeats"] == list(truth.downbeats)
    assert written["sections"][0] == {"start": 0.25, "end": truth.sections[0].end, "label": "intro"}
