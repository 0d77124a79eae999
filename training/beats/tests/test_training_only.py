"""Songs for the training only: human drumming with a band, singing, dense masters."""

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.beats.songs import SAMPLE_RATE_HZ, FluidsynthMissingError
from training.beats.songs.score import METERS, Note, Score
from training.beats.songs.tempo import tempo_map
from training.beats.songs.training_only.performance import (
    DatasetMissingError,
    perform,
    performances,
    read_hits,
)
from training.beats.songs.training_only.production import densify, pump, wash
from training.beats.songs.training_only.singing import sing

seeds = st.integers(0, 2**32)
KICK, SNARE_RIM = 36, 40
HEADER = "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split\n"


def _score(notes: list[Note], bars: int = 4, bpm: float = 120) -> Score:
    tempo = tempo_map("const", bpm, 4 * bars, 0.5, np.random.default_rng(0))
    return Score(
        "x", METERS["4/4"], tempo, bpm, 0, "major", [("verse", bars // 2), ("chorus", bars // 2)], notes=notes
    )


def _groove(folder, bars: int, late_s: float, bpm: int = 120):
    """Write a data set of one performance: kick and rim on each beat, `late_s` after the click."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=round(60e6 / bpm))])
    file = mido.MidiFile(ticks_per_beat=480, tracks=[track])
    wait = round(late_s * bpm / 60 * 480)
    for beat in range(4 * bars):
        note = KICK if beat % 2 == 0 else SNARE_RIM
        track.append(mido.Message("note_on", channel=9, note=note, velocity=90, time=wait))
        track.append(mido.Message("note_off", channel=9, note=note, time=60))
        wait = 420
    file.save(folder / "a.mid")
    row = f"d1,d1/s,d1/s/1,rock,{bpm},beat,4-4,a.mid,a.wav,8.0,train\n"
    (folder / "info.csv").write_text(HEADER + row)


@given(late_s=st.floats(0, 0.05))
@settings(max_examples=10)
def test_a_late_drummer_defines_the_beat(tmp_path_factory, late_s):
    """Beats are where he plays, not where the click was; rims are snares."""
    folder = tmp_path_factory.mktemp("groove")
    _groove(folder, 6, late_s)
    hits = read_hits(performances(folder, "train")[0])
    np.testing.assert_allclose(hits.beats, np.arange(24), atol=0.01)
    assert set(hits.pitches) == {KICK, 38}


def test_a_drummer_gets_a_band_on_his_beats(tmp_path):
    """The beats of the song are at the performance's tempo, four to the bar, and the sound lasts as long."""
    _groove(tmp_path, 6, 0.02)
    (performance,) = performances(tmp_path, "train")
    try:
        song = perform(performance, 0, "training", 12.0)
    except FluidsynthMissingError as error:
        pytest.skip(str(error))
    assert song is not None
    assert song.truth.bpm == pytest.approx(120)
    assert len(song.truth.beats) == 24
    assert song.truth.positions[:5] == [1, 2, 3, 4, 1]
    assert len(song.audio) / SAMPLE_RATE_HZ > song.truth.beats[-1]


def test_too_short_performances_are_left_out(tmp_path):
    """Two bars are no song."""
    _groove(tmp_path, 2, 0.0)
    (performance,) = performances(tmp_path, "train")
    assert perform(performance, 0, "training", 12.0) is None


def test_a_missing_data_set_is_reported(tmp_path):
    """The message names the data set and where to read about it."""
    with pytest.raises(DatasetMissingError, match=r"Groove MIDI Dataset.*README"):
        performances(tmp_path, "train")


@given(seeds)
@settings(max_examples=5)
def test_a_voice_sings_where_there_is_a_lead(seed):
    """The voice is finite and as long as the score, and silent without notes."""
    notes = [Note("lead", float(beat), 0.9, 67, 100) for beat in range(16)]
    voice = sing(_score(notes), np.random.default_rng(seed))
    assert np.isfinite(voice).all()
    assert len(voice) == int(_score(notes).duration * SAMPLE_RATE_HZ)
    assert np.abs(voice).max() > 0.05
    assert not sing(_score([]), np.random.default_rng(seed)).any()


@given(seeds)
@settings(max_examples=10)
def test_a_dense_master_has_lower_peaks_and_keeps_the_time(seed):
    """The crest factor of a mix with hits falls, and each hit stays within 3 ms of where it was."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(0, 0.003, 2 * SAMPLE_RATE_HZ).astype(np.float32)
    hits = np.arange(10_000, len(mix) - 10_000, 20_000)
    decay = np.exp(-np.arange(3000) / 800) * rng.normal(0, 0.3, 3000)
    for at in hits:
        mix[at : at + 3000] += decay.astype(np.float32)
    dense = densify(mix, rng)

    def crest(audio):
        return np.abs(audio).max() / np.sqrt((audio**2).mean())

    assert crest(dense) < crest(mix)
    for at in hits:
        before, after = np.abs(dense[at - 2000 : at - 150]).max(), np.abs(dense[at : at + 132]).max()
        assert after > 1.5 * before


@given(seeds)
def test_pumping_ducks_after_the_kick(seed):
    """The gain drops at a kick, has recovered before the next one, and never rises above 1."""
    score = _score([Note("drums", float(beat), 0.2, KICK, 100) for beat in range(0, 16, 2)])
    gain = pump(np.ones(int(score.duration * SAMPLE_RATE_HZ), np.float32), score, np.random.default_rng(seed))
    for beat in range(0, 16, 2):
        at = int(score.onset(beat) * SAMPLE_RATE_HZ)
        assert gain[at + 5] <= 0.51
        assert gain[at - 5] == 1
    assert gain.max() == 1


@given(seeds)
@settings(max_examples=10)
def test_cymbals_ring_in_the_chorus(seed):
    """The loud section has a wash, and the level stays below that of the music."""
    score = _score([], bars=4)
    length = int(score.duration * SAMPLE_RATE_HZ)
    ringing = wash(score, length, np.random.default_rng(seed))
    chorus = score.truth().sections[1]
    assert np.abs(ringing[int(chorus[0] * SAMPLE_RATE_HZ) : int(chorus[1] * SAMPLE_RATE_HZ)]).mean() > 0
    assert np.abs(ringing).max() < 0.5
