"""The song generator: its truth is the truth."""

import zlib
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training.beats.songs import (
    SAMPLE_RATE_HZ,
    STYLES,
    TRAINING_STYLES,
    FluidsynthMissingError,
    Truth,
    make_song,
)
from training.beats.songs.compose import compose
from training.beats.songs.fluid import play
from training.beats.songs.grooves import EVALUATION, LANES, TRAINING
from training.beats.songs.mastering import round_trip
from training.beats.songs.palettes import PALETTES, SPLIT_NUMBERS, TIM_GM
from training.beats.songs.score import METERS, Note, Score
from training.beats.songs.tempo import TEMPO_KINDS, swing, swing_ratio, tempo_map, unswing
from training.beats.songs.theory import progression

styles = st.sampled_from(list(STYLES))
every_style = st.sampled_from([*STYLES, *TRAINING_STYLES])
splits = st.sampled_from(list(SPLIT_NUMBERS))
indices = st.integers(0, 10_000)


@given(every_style, indices, splits)
@settings(max_examples=60)
def test_truth_is_consistent(style, index, split):
    """Beats rise, lie inside the audio, downbeats are beats, sections tile the song from bar line to bar line."""
    assume(style in STYLES or split != "evaluation")
    score = compose(style, index, split, 20.0)
    truth = score.truth()
    beats = np.array(truth.beats)
    assert np.all(np.diff(beats) > 0.2)
    assert 0 <= beats[0] < 2.1
    assert beats[-1] < score.duration
    assert set(truth.downbeats) <= set(truth.beats)
    assert truth.downbeats[0] == truth.beats[0]
    assert max(truth.positions) == METERS[truth.metre].beats
    edges = [truth.sections[0][0], *(end for _, end, _ in truth.sections)]
    assert edges == sorted(edges)
    assert set(edges[:-1]) <= set(truth.downbeats)
    assert 30 < truth.bpm < 270


@given(every_style, indices, splits)
@settings(max_examples=30)
def test_every_section_sounds(style, index, split):
    """Notes are playable, and no section is left without any."""
    assume(style in STYLES or split != "evaluation")
    score = compose(style, index, split, 20.0)
    assert all(0 <= n.pitch <= 127 and 1 <= n.velocity <= 127 and n.length > 0 for n in score.notes)
    bar = 0
    for _, bars in score.sections:
        first, bar = bar * score.meter.beats, bar + bars
        assert any(first <= n.beat < bar * score.meter.beats for n in score.notes)


@given(styles, indices, splits)
@settings(max_examples=20)
def test_a_seed_is_a_song(style, index, split):
    """The same seed writes the same notes; the next one writes others."""
    first, again, other = (compose(style, i, split, 12.0) for i in (index, index, index + 1))
    assert first.notes == again.notes
    assert first.truth() == again.truth()
    assert first.notes != other.notes


@given(styles, indices)
@settings(max_examples=20)
def test_splits_share_no_song(style, index):
    """The same index gives different songs in training, validation and evaluation."""
    tempi = {compose(style, index, split, 12.0).truth().beats[1] for split in SPLIT_NUMBERS}
    assert len(tempi) == len(SPLIT_NUMBERS)


@pytest.mark.parametrize(
    ("style", "index", "notes"),
    [("rock", 3, 974258764), ("jazz", 1, 351270889), ("edm", 0, 1368820027), ("compound", 2, 2239483245)],
)
def test_the_evaluation_stays_what_it_is(style, index, notes):
    """Figures of different versions are comparable: styles and sounds added for training change no evaluation song."""
    score = compose(style, index, "evaluation", 20.0)
    written = ";".join(f"{n.voice} {n.beat:.4f} {n.pitch} {n.velocity:.1f}" for n in score.notes)
    assert zlib.crc32(written.encode()) == notes


def test_training_styles_are_not_evaluated():
    """A style without patterns for the evaluation is refused there."""
    with pytest.raises(ValueError, match="training only"):
        compose("metal", 0, "evaluation", 20.0)


def test_splits_are_made_of_different_things():
    """No drum pattern, program number, progression or waveform of the evaluation occurs in training."""
    train, evaluation = PALETTES["training"], PALETTES["evaluation"]
    for style, grooves in EVALUATION.items():
        known = {(g.kick, g.snare, g.hat, g.perc) for g in TRAINING[style]}
        assert not known & {(g.kick, g.snare, g.hat, g.perc) for g in grooves}
    for name, ensemble in evaluation.ensembles.items():
        for used, new in zip(astuple(train.ensembles[name]), astuple(ensemble), strict=True):
            assert not set(used) & set(new)
    for mode, progressions in evaluation.progressions.items():
        assert not set(train.progressions[mode]) & set(progressions)
    assert not set(train.waveforms) & set(evaluation.waveforms)


@pytest.mark.parametrize("table", [TRAINING, EVALUATION])
def test_patterns_fit_their_bars(table):
    """Each lane's steps divide the bar evenly and use only the four known letters."""
    for groove in (g for grooves in table.values() for g in grooves):
        for lane in LANES:
            assert len(groove.lane(lane)) % METERS[groove.meter].beats == 0, groove.name
            assert set(groove.lane(lane)) <= set("Xxo."), groove.name


@given(st.sampled_from(TEMPO_KINDS), st.floats(45, 220), st.integers(8, 300), st.integers(0, 2**32))
def test_tempo_maps_run_forwards(kind, bpm, beats, seed):
    """Time never runs back, and the tempo stays within a third of the requested one, whatever the kind."""
    tempo = tempo_map(kind, bpm, beats, 0.5, np.random.default_rng(seed))
    assert tempo.seconds(0) == 0.5
    intervals = np.diff(tempo.times)
    assert np.all((intervals > 0.66 * 60 / bpm) & (intervals < 1.34 * 60 / bpm))


@given(st.floats(0, 100), st.floats(0.5, 0.7), st.sampled_from([0.25, 0.5]))
def test_swing_keeps_the_order_and_the_beat(beat, ratio, unit):
    """Swing delays only what lies between the beats, and never reorders notes."""
    assert swing(float(int(beat)), ratio, unit) == pytest.approx(int(beat))
    assert swing(beat, ratio, unit) <= swing(beat + 0.01, ratio, unit)
    assert beat - 1e-9 <= swing(beat, ratio, unit) < beat + 2 * unit


@given(st.floats(-1, 100), st.floats(0.5, 0.7), st.sampled_from([0.25, 0.5]))
def test_unswing_undoes_swing(beat, ratio, unit):
    """A played position gives the written one back, so that a band can swing with a drummer."""
    assert unswing(swing(beat, ratio, unit), ratio, unit) == pytest.approx(beat, abs=1e-9)


@given(st.floats(0.58, 0.68), st.integers(0, 2**32))
def test_swing_is_recognised(ratio, seed):
    """Hits on the beat and on swung off-beats show their ratio; straight eighths and too few hits give .5."""
    beats = np.arange(16) + np.random.default_rng(seed).normal(0, 0.01, 16)
    assert swing_ratio(np.concatenate([beats, beats + ratio])) == pytest.approx(ratio, abs=0.02)
    assert swing_ratio(np.concatenate([beats, beats + 0.5])) == 0.5
    assert swing_ratio(np.concatenate([beats, beats[:4] + ratio])) == 0.5


def test_progressions_are_parsed():
    """Semitones above the tonic, then the chord's quality, sevenths included."""
    assert progression("0M 10P 5m7 7D 0M7") == ((0, "M"), (10, "P"), (5, "m7"), (7, "D"), (0, "M7"))


def test_truth_survives_a_file(tmp_path):
    """What is saved is what is loaded."""
    truth = compose("odd", 3, "evaluation", 20.0).truth()
    truth.save(tmp_path / "song.json")
    assert Truth.load(tmp_path / "song.json") == truth


@given(index=st.integers(0, 50))
@settings(max_examples=3)
def test_audio_is_reproducible_and_sane(index):
    """A synthesised song is finite, not clipped beyond a codec's overshoot, and the same twice."""
    first, again = (make_song("edm", index, "evaluation", 6.0) for _ in range(2))
    np.testing.assert_array_equal(first.audio, again.audio)
    assert np.isfinite(first.audio).all()
    assert 0.05 < np.abs(first.audio).max() < 1.6
    assert len(first.audio) / SAMPLE_RATE_HZ > first.truth.beats[-1]


@pytest.mark.parametrize("codec", ["mp3", "aac"])
def test_codecs_do_not_move_the_music(codec):
    """The encoder's delay is gone after the round trip: clicks are where they were."""
    clicks = np.zeros(3 * SAMPLE_RATE_HZ, np.float32)
    noise = np.random.default_rng(0).normal(0, 0.3, 2000).astype(np.float32)
    for at in range(5000, len(clicks) - 5000, 15_000):
        clicks[at : at + 2000] = noise * np.exp(-np.arange(2000) / 300)
    after = round_trip(clicks, codec, 96)
    lags = range(-60, 61)
    match = [float(np.dot(clicks[100:-100], np.roll(after, -lag)[100:-100])) for lag in lags]
    assert len(after) == len(clicks)
    assert lags[int(np.argmax(match))] == 0


def test_sampled_drums_sound_on_time():
    """fluidsynth's latency is taken off: a wood block sounds within 2 ms of its written time."""
    rng = np.random.default_rng(0)
    score = Score("x", METERS["4/4"], tempo_map("const", 117, 8, 0.5, rng), 117, 0, "major", [("a", 2)])
    score.notes += [Note("drums", float(beat), 0.2, 75, 100) for beat in range(8)]
    try:
        audio = play(score, ["drums"], {"drums": 0}, TIM_GM, rng)
    except FluidsynthMissingError as error:
        pytest.skip(str(error))
    for beat in range(8):
        at = int(score.onset(beat) * SAMPLE_RATE_HZ)
        attack = np.abs(audio[at - 200 : at + 2000])
        late = int(np.argmax(attack > 0.02 * attack.max())) - 200
        assert abs(late) < 0.002 * SAMPLE_RATE_HZ
