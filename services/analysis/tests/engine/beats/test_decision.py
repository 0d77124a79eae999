"""The decision about the pulse: a constant grid, one phase, one metrical level, each by the evidence of the song."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.features import extract
from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.audio.levels import AudibleRange, find_audible, find_silences
from k1_analysis.engine.audio.times import nearest
from k1_analysis.engine.audio.tonal import TonalExtractor
from k1_analysis.engine.beats.agreement.consensus import PHASE_IN_DOUBT
from k1_analysis.engine.beats.agreement.scores import f_measure
from k1_analysis.engine.beats.decision.cues import PulseCues, measure
from k1_analysis.engine.beats.decision.evidence import SongEvidence
from k1_analysis.engine.beats.decision.pulse import (
    THREE_FOR_TWO_BARS,
    TRACKED_LEVEL,
    decide_pulse,
    other_levels,
)
from k1_analysis.engine.beats.decision.steady_pulse import constant_grid, steady_pulse, without_jumps
from k1_analysis.engine.beats.interpretations import divide
from k1_analysis.engine.beats.refinement import attack_curve, onset_curve
from k1_analysis.engine.beats.tempo import tempo
from k1_analysis.engine.beats.trackers.viterbi import log_odds

LENGTH_S = 60.0


def _activation(*peaks: tuple[Seconds, float], seconds: float = LENGTH_S) -> Floats:
    """Return a curve with peaks three frames wide of the given heights at the given times."""
    curve = np.full(int(seconds * 100) + 1, 0.02, np.float32)
    for times, height in peaks:
        frames = np.round(times * 100).astype(int)
        for step, share in ((-1, 0.5), (1, 0.5), (0, 1.0)):
            at = (frames + step).clip(0, len(curve) - 1)
            curve[at] = np.maximum(curve[at], share * height)
    return curve


def _between(beats: Seconds) -> Seconds:
    return (beats[1:] + beats[:-1]) / 2


def _evidence(samples: songs.Samples, activation: Floats) -> SongEvidence:
    features, tonal = extract(samples), TonalExtractor()
    tonal.push(samples)
    length = len(features.log_bands)
    heard = np.pad(activation, (0, max(0, length - len(activation))))[:length]
    return SongEvidence(
        features=features,
        tonal=tonal.finish(),
        activation=heard,
        downbeat_activation=np.full(length, 0.05, np.float32),
        onsets=onset_curve(features.onsets),
        attacks=attack_curve(features.attack),
        audible=find_audible(find_silences(features.envelopes, length / 100), length / 100),
    )


grids = st.tuples(st.floats(60, 200), st.floats(0, 0.9))


@given(grids, st.integers(0, 99), st.lists(st.integers(20, 110), max_size=3))
@settings(max_examples=40, deadline=None)
def test_a_grid_is_found_through_jumps(grid: tuple[float, float], seed: int, jumps: list[int]) -> None:
    """Tracked beats that are 8 ms off and jump by half a beat now and then still give the grid to 0.06 %."""
    bpm, start = grid
    true = songs.steady(bpm, LENGTH_S, start)
    offset = np.zeros(len(true))
    for jump in jumps:
        offset[jump:] += 0.5 * 60 / bpm
    tracked = true + offset + np.random.default_rng(seed).uniform(-0.008, 0.008, len(true))
    found = constant_grid(tracked[tracked < LENGTH_S], log_odds(_activation((true, 0.9))))
    assert found is not None
    assert 60 / found.period_s == pytest.approx(bpm, rel=6e-4)
    distance = (found.start_s - start + found.period_s / 2) % found.period_s - found.period_s / 2
    assert abs(distance) <= 0.016


def test_a_drifting_tempo_has_no_grid() -> None:
    """A band that gets two per cent faster does not keep to a grid."""
    beats = np.cumsum(60 / np.linspace(119.0, 121.5, 110))
    assert constant_grid(beats, log_odds(_activation((beats, 0.9), seconds=60))) is None
    assert constant_grid(beats[:10], log_odds(_activation((beats, 0.9), seconds=60))) is None


def test_uncertain_beats_of_a_quiet_part_do_not_hide_the_grid() -> None:
    """A third of the tracked beats, with hardly any activation, are anywhere: the certain ones decide."""
    true = songs.steady(140.0, LENGTH_S, 0.3)
    loud = true[true < 40]
    stray = np.cumsum(np.random.default_rng(1).uniform(0.36, 0.52, 44)) + 40
    tracked = np.concatenate([loud, stray[stray < LENGTH_S]])
    found = constant_grid(tracked, log_odds(_activation((loud, 0.9))))
    assert found is not None
    assert 60 / found.period_s == pytest.approx(140.0, rel=6e-4)


@given(st.floats(70, 180), st.lists(st.integers(10, 90), max_size=4), st.integers(0, 99))
@settings(max_examples=40)
def test_a_free_pulse_loses_its_jumps(bpm: float, jumps: list[int], seed: int) -> None:
    """Tempo moves by 4 %, the tracker jumps by half a beat: one of the two phases has every beat."""
    rng = np.random.default_rng(seed)
    true = np.cumsum(60 / (bpm * (1 + 0.04 * np.sin(np.arange(100) / 12 + rng.uniform(0, 6)))))
    lattice = divide(true, 2)
    numbers = 2 * np.arange(100)
    for jump in jumps:
        numbers[jump:] += 1
    tracked = lattice[numbers[numbers < len(lattice)]]
    pair = without_jumps(tracked)
    assert max(f_measure(true, pair.on), f_measure(true, pair.between)) > 0.96
    assert (np.diff(pair.on) > 0).all()
    assert f_measure(pair.on, pair.between) < 0.05
    assert not pair.constant


def test_a_grid_spans_the_music_and_a_short_song_stays() -> None:
    """The grid begins and ends with the sound; fewer than sixteen beats stay as they are."""
    true = songs.steady(120.0, LENGTH_S, 0.25)
    audible = AudibleRange(5.0, 50.0, [])
    pair = steady_pulse(true, log_odds(_activation((true, 0.9))), audible)
    assert pair.constant
    assert pair.on[0] >= audible.start_s
    assert pair.on[-1] <= audible.end_s
    assert np.abs(pair.between - pair.on[nearest(pair.on, pair.between)]) == pytest.approx(0.25, abs=0.02)
    short = decide_pulse(true[:15], _evidence(songs.song(true[:15]), _activation((true, 0.9))))
    assert short.beats.tolist() == true[:15].tolist()
    assert short.other_level is None
    assert short.phase > PHASE_IN_DOUBT


SKANK = songs.steady(150.0, 40.0, 0.4)


def test_kick_and_harmony_outweigh_a_network_on_the_offbeats() -> None:
    """In skank the network follows the snare between the beats, and so do the trackers: the song decides."""
    song = _evidence(songs.song(SKANK), _activation((_between(SKANK), 0.7), (SKANK, 0.15), seconds=42))
    found = decide_pulse(_between(SKANK), song)
    assert f_measure(SKANK, found.beats) > 0.95
    assert found.constant
    assert found.phase > 0


def test_a_free_pulse_needs_more_evidence_to_change_its_phase() -> None:
    """Without a grid the tracked phase has a bonus: little evidence for the other does not move it."""
    beats = np.cumsum(60 / (112 + 5 * np.sin(np.arange(70) / 9)))
    noise = 0.2 * np.random.default_rng(0).standard_normal(int((beats[-1] + 1) * songs.RATE))
    song = _evidence(noise.astype(np.float32), _activation((beats, 0.5), (_between(beats), 0.5)))
    for tracked in (beats, _between(beats)):
        found = decide_pulse(tracked, song)
        assert not found.constant
        assert f_measure(tracked, found.beats) > 0.9 or found.other_level is not None


FAST = songs.steady(186.0, 40.0, 0.1)


@pytest.mark.parametrize(
    ("tracked", "activation"),
    [
        (FAST[::2], _activation((FAST, 0.85), seconds=42)),
        (FAST, _activation((FAST, 0.85), seconds=42)),
    ],
    ids=["tracked at half", "tracked right"],
)
def test_fast_song_is_read_at_its_own_level(tracked: Seconds, activation: Floats) -> None:
    """Kick, snare and network go on between the beats of half the tempo."""
    found = decide_pulse(tracked, _evidence(songs.song(FAST), activation))
    assert tempo(found.beats) == pytest.approx(186, rel=0.01)
    assert f_measure(FAST, found.beats) > 0.95
    assert found.other_level is not None
    assert found.level >= 0


QUICK = songs.steady(160.0, 40.0, 0.4)


@pytest.mark.parametrize(("between", "moves"), [(0.05, False), (0.4, True)], ids=["close call", "clear case"])
def test_a_close_call_keeps_the_tracked_level(between: float, moves: bool) -> None:
    """Where 80 and 160 BPM are nearly as likely the tracker decides, where 160 is far likelier the song."""
    activation = _activation((QUICK[::2], 0.9), (QUICK[1::2], between), seconds=42)
    song = _evidence(songs.song(QUICK), activation)
    fast, slow = decide_pulse(QUICK, song), decide_pulse(QUICK[::2], song)
    assert tempo(fast.beats) == pytest.approx(160, rel=0.01)
    assert tempo(slow.beats) == pytest.approx(160 if moves else 80, rel=0.01)
    assert fast.prior.log_odds(QUICK[::2]) == slow.prior.log_odds(QUICK) == -TRACKED_LEVEL
    assert fast.prior.log_odds(QUICK) == fast.prior.log_odds(QUICK[::3]) == 0


WALTZ = songs.steady(178.0, 40.0, 0.3)


@pytest.mark.parametrize(("meter", "bpm"), [(3, 178), (4, 178 * 2 / 3)], ids=["in three", "in four"])
def test_bars_in_three_decide_between_three_beats_and_two(meter: int, bpm: float) -> None:
    """Where the network detects both alike, beats that fall across the bars of a waltz are not those of the song."""
    two = divide(WALTZ, 2)[::3]
    beats = WALTZ if meter == 3 else two
    activation = _activation((WALTZ, 0.5), (two, 0.5), seconds=42)
    song = _evidence(songs.song(beats, meter=meter), activation)
    found = decide_pulse(two, song)
    assert tempo(found.beats) == pytest.approx(bpm, rel=0.01)
    assert f_measure(beats, found.beats) > 0.95
    better = measure(WALTZ, song).bars - measure(two, song).bars
    assert found.prior.log_odds(WALTZ) == pytest.approx(THREE_FOR_TWO_BARS * better, abs=0.5)


def test_slow_song_is_not_doubled() -> None:
    """A song at 72 BPM with hats on the quavers, which the tracker follows, is read at 72."""
    slow = songs.steady(72.0, 60.0, 0.4)
    song = _evidence(songs.song(slow), _activation((slow, 0.9), (_between(slow), 0.1), seconds=62))
    found = decide_pulse(divide(slow, 2), song)
    assert tempo(found.beats) == pytest.approx(72, rel=0.01)
    assert f_measure(slow, found.beats) > 0.95


def test_slow_six_eight_is_not_read_in_quavers() -> None:
    """Three quavers a beat at 66 BPM: the beats, not the quavers at 198."""
    beats = songs.steady(66.0, 60.0, 0.4)
    song = _evidence(
        songs.song(beats, meter=2, parts=3), _activation((beats, 0.9), (divide(beats, 3), 0.08), seconds=62)
    )
    found = decide_pulse(divide(beats, 3), song)
    assert tempo(found.beats) == pytest.approx(66, rel=0.01)


def test_each_cue_prefers_the_beats_of_a_song() -> None:
    """On kick, snare, chords and activation every cue is higher at the beats than midway between them."""
    song = _evidence(songs.song(SKANK), _activation((SKANK, 0.8), seconds=42))
    right, wrong = measure(SKANK, song), measure(_between(SKANK), song)
    for name in ("activation", "bars", "kick", "onsets"):
        assert getattr(right, name) > getattr(wrong, name), name
    assert right.octaves == pytest.approx(np.log2(150 / 120), abs=0.01)
    assert right.log_odds(wrong) > 0 > wrong.log_odds(right)


@pytest.mark.parametrize("name", ["activation", "bars", "kick", "onsets"])
def test_each_cue_counts_for_phase(name: str) -> None:
    """With all else equal, more of a cue makes a phase likelier."""
    cues = PulseCues(octaves=0.3, activation=-1.0, bars=0.5, kick=-2.0, onsets=0.4, beats=200)
    more = replace(cues, **{name: getattr(cues, name) + 0.5})
    assert more.log_odds(cues) > 0


def test_the_bars_of_a_few_beats_count_less_for_the_phase() -> None:
    """In twenty seconds of drums the bars may prefer the offbeats; a certain activation outweighs that."""
    on = PulseCues(octaves=0.54, activation=-0.19, bars=0.77, kick=0.03, onsets=1.21, beats=57)
    off = PulseCues(octaves=0.54, activation=-4.59, bars=1.14, kick=-0.49, onsets=0.62, beats=57)
    assert on.log_odds(off) > 0
    assert replace(on, beats=1000).log_odds(replace(off, beats=1000)) < on.log_odds(off)


def test_level_counts_where_tempi_differ() -> None:
    """Readings at two tempi are compared by the score of the level, and the tempo itself is a cue."""
    usual = PulseCues(octaves=0.0, activation=-1.0, bars=0.5, kick=-2.0, onsets=0.4, beats=200)
    slow = replace(usual, octaves=-1.5)
    assert usual.log_odds(slow) == pytest.approx(usual.level_score - slow.level_score)
    assert usual.log_odds(slow) > 0


@given(st.floats(45, 230), st.integers(32, 200))
@settings(max_examples=50)
def test_other_levels_are_within_the_range_of_tempi(bpm: float, count: int) -> None:
    """Half, double, a third and three times, each in all its phases, between 40 and 240 BPM."""
    beats = np.arange(count) * 60 / bpm
    for phases in other_levels(beats):
        assert 40 * 0.99 <= tempo(phases[0]) <= 240 * 1.01
        assert all(abs(tempo(other) - tempo(phases[0])) < 0.5 for other in phases)
        assert len(phases) in {1, 2, 3}
