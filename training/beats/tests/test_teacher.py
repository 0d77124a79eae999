"""Tests of the teacher's rules on constructed evidence: each rule must accept the clear case and reject the doubtful."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_analysis.engine.audio.features import Envelopes, Features
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.tonal import Tonal
from k1_analysis.engine.beats.tempo_grid import TempoGrid
from training.beats.teacher.__main__ import audio_files, example_name, split_of
from training.beats.teacher.cues import (
    Drums,
    fit_to_activation,
    fold,
    fold_drums,
    grid_times,
    offbeat,
    share_on_either_phase,
)
from training.beats.teacher.evidence import (
    LONGEST_S,
    SHORTEST_S,
    Evidence,
    TooShortError,
    middle,
)
from training.beats.teacher.level import choose_period, contradicts, drums_hold, families_at
from training.beats.teacher.phase import PhaseCues
from training.beats.teacher.rules import Label, Rejected, find_positions, known_frames, label

DURATION_S = 60.0
KICK, SNARE, HATS = 0, 2, 3


def pulses(times: Seconds, height: float = 1.0, floor: float = 0.01) -> Floats:
    """Return (T,): `height` at the times, `floor` elsewhere."""
    curve = np.full(int(DURATION_S * FRAME_RATE_HZ), floor, np.float32)
    frames = np.round(times * FRAME_RATE_HZ).astype(int)
    curve[frames[frames < len(curve)]] = height
    return curve


def every(period_s: float, start_s: float = 0.2) -> Seconds:
    return np.arange(start_s, DURATION_S - 0.05, period_s)


def song(period_s: float = 0.5, *, snare_off: bool = False, odd_tracker: Seconds | None = None) -> Evidence:
    """Return the evidence for a rock beat in four: kick on one and three, snare on two and four, hats on eighths.

    Args:
        period_s: of the beat.
        snare_off: the snare is between the beats instead, and kick on every beat, as in fast metal.
        odd_tracker: beats of `degara` and `multifeature`, if not the true ones.
    """
    beats = every(period_s)
    between = beats + period_s / 2
    onsets = np.zeros((int(DURATION_S * FRAME_RATE_HZ), 4), np.float32)
    onsets[:, KICK] = pulses(beats if snare_off else beats[::2])
    onsets[:, SNARE] = pulses(between if snare_off else beats[1::2])
    onsets[:, HATS] = np.maximum(pulses(beats, 0.5), pulses(between, 0.3))
    log_bands = np.repeat(onsets.sum(axis=1)[:, None], 82, axis=1)
    activation = np.stack([pulses(beats, 0.9), pulses(beats[::4], 0.8)], axis=1)
    frames = int(DURATION_S * 10)
    chord = ((np.arange(frames) / 10 - 0.2) // (4 * period_s)).astype(int) % 3
    chroma = np.eye(12, dtype=np.float32)[chord * 4]
    empty = np.zeros((int(DURATION_S * 20), 3), np.float32)
    level = np.full(len(empty), 0.1, np.float32)
    features = Features(
        log_bands,
        onsets,
        np.zeros(3 * len(onsets), np.float32),
        Envelopes(empty, level, level, level, level, level, level),
    )
    essentia = beats if odd_tracker is None else odd_tracker
    trackers = {"net": beats, "onsets": beats, "degara": essentia, "multifeature": essentia}
    tonal = Tonal(chroma, chroma, np.zeros((frames, 13), np.float32))
    return Evidence(features, tonal, activation, trackers, beats)


def test_a_clear_song_gets_its_beats_and_bars() -> None:
    found = label(song())
    assert isinstance(found, Label)
    np.testing.assert_allclose(found.beats, every(0.5), atol=0.011)
    assert found.positions[:5].tolist() == [1, 2, 3, 4, 1]
    assert found.mask.mean() > 0.95


def test_a_song_without_pulse_is_rejected() -> None:
    found = label(replace(song(), pulse=np.empty(0)))
    assert isinstance(found, Rejected)
    assert found.reason == "no pulse"


def test_a_pulse_that_leaves_every_grid_is_rejected() -> None:
    drifting = np.cumsum(np.linspace(0.46, 0.54, 110))
    found = label(replace(song(), pulse=drifting))
    assert isinstance(found, Rejected)
    assert found.reason == "moves"


@pytest.mark.parametrize(
    ("cues", "side"),
    [
        (PhaseCues(bars=0.2, activation=3.0, essentia=0.9, kick=1.0), 1),
        (PhaseCues(bars=-0.2, activation=-3.0, essentia=0.0, kick=0.0), -1),
        # Equal eighths, as in a sequenced ostinato: Essentia follows one of the two, and nothing else tells.
        (PhaseCues(bars=0.13, activation=0.4, essentia=0.99, kick=0.1), 0),
        (PhaseCues(bars=0.13, activation=1.4, essentia=0.99, kick=0.1), 1),
        # The bars alone, or with a contradiction, do not suffice.
        (PhaseCues(bars=0.2, activation=0.0, essentia=0.0, kick=0.0), 0),
        (PhaseCues(bars=0.11, activation=3.0, essentia=-0.9, kick=0.0), 0),
        # The network and Essentia follow the snare, the bars do not tell: the case that taught the rule.
        (PhaseCues(bars=-0.03, activation=4.3, essentia=0.51, kick=-0.15), 0),
        (PhaseCues(bars=0.03, activation=4.3, essentia=0.9, kick=0.1), 0),
        (PhaseCues(bars=-0.03, activation=4.3, essentia=0.9, kick=0.8), 1),
        # Essentia on the offbeats is outvoted by a strong kick.
        (PhaseCues(bars=0.3, activation=1.8, essentia=-1.0, kick=2.0), 1),
        (PhaseCues(bars=0.3, activation=5.2, essentia=-0.5, kick=0.5), 0),
        # A syncopated kick, or a bass between the beats, is outvoted if the bars are clear.
        (PhaseCues(bars=0.3, activation=3.1, essentia=0.99, kick=-0.5), 1),
        (PhaseCues(bars=0.15, activation=3.1, essentia=0.99, kick=-0.5), 0),
        # The network is wrong, all else agrees.
        (PhaseCues(bars=0.3, activation=-2.0, essentia=0.8, kick=0.9), 1),
    ],
)
def test_phase_needs_agreeing_cues(cues: PhaseCues, side: int) -> None:
    assert cues.decide() == side


@given(*[st.floats(-5, 5) for _ in range(4)])
def test_phase_is_symmetric(bars: float, activation: float, essentia: float, kick: float) -> None:
    one = PhaseCues(bars, activation, essentia, kick).decide()
    if bars and kick:
        assert PhaseCues(-bars, -activation, -essentia, -kick).decide() == -one


def test_level_needs_two_families_of_trackers() -> None:
    trackers = {"net": every(0.5), "onsets": every(0.25), "degara": every(0.5), "multifeature": every(0.5)}
    assert families_at(trackers, 0.5) == 2
    assert families_at(trackers, 0.25) == 1
    assert families_at({}, 0.5) == 0


def test_a_level_that_no_other_tracker_holds_is_rejected() -> None:
    others = every(0.7)
    drumless = replace(song().features, onsets=np.full_like(song().features.onsets, 0.1))
    trackers = {"net": every(0.5), "onsets": others, "degara": others}
    lonely = replace(song(), features=drumless, trackers=trackers)
    assert choose_period(replace(song(), features=drumless)) == pytest.approx(0.5, abs=0.01)
    assert choose_period(lonely) is None


def drums(**changes: float) -> Drums:
    quiet = Drums(
        kick_alternates=0.0,
        snare_alternates=0.0,
        kick_at_beats=0.5,
        snare_at_beats=0.5,
        silence_between=0.3,
        even_has_kick=True,
    )
    return replace(quiet, **changes)


def test_drums_hold_a_level_by_backbeat_or_by_the_kick() -> None:
    assert drums_hold(drums(kick_alternates=1.0, snare_alternates=1.0))
    assert drums_hold(drums(kick_at_beats=1.0))
    assert not drums_hold(drums())
    assert not drums_hold(drums(kick_alternates=1.0, snare_alternates=-1.0))


@pytest.mark.parametrize(
    ("fold", "bpm", "wrong"),
    [
        (drums(), 130.0, False),
        (drums(kick_at_beats=-1.0), 130.0, True),
        (drums(silence_between=2.0), 170.0, True),
        (drums(silence_between=2.0), 90.0, False),
        (drums(snare_at_beats=0.0), 90.0, True),
        (drums(snare_at_beats=0.0), 130.0, False),
        (drums(kick_alternates=1.0, snare_alternates=-1.0), 150.0, True),
        (drums(kick_alternates=1.0, snare_alternates=-1.0), 130.0, False),
    ],
)
def test_the_drums_veto(fold: Drums, bpm: float, *, wrong: bool) -> None:
    assert contradicts(fold, bpm) is wrong


def test_frames_where_the_sound_leaves_the_grid_are_unknown() -> None:
    steady = song()
    onsets = steady.features.onsets.copy()
    onsets[3000:] = np.roll(onsets[3000:], 10, axis=0)
    moved = replace(steady, features=replace(steady.features, onsets=onsets))
    mask = known_frames(moved, every(0.5))
    assert mask[500:2000].all()
    assert not mask[4000:5500].any()


def test_frames_where_the_phase_turns_are_unknown() -> None:
    steady = song()
    activation = steady.activation.copy()
    activation[4000:] = np.roll(activation[4000:], 25, axis=0)
    mask = known_frames(replace(steady, activation=activation), every(0.5))
    assert mask[500:3000].all()
    assert not mask[4800:5800].any()


def test_downbeats_are_unknown_without_evidence() -> None:
    steady = song()
    flat = replace(
        steady,
        activation=np.stack([steady.activation[:, 0], np.full(len(steady.activation), 0.1)], axis=1),
        tonal=replace(
            steady.tonal,
            chroma=np.ones_like(steady.tonal.chroma),
            bass_chroma=np.ones_like(steady.tonal.chroma),
        ),
    )
    assert find_positions(steady, every(0.5))[0].any()
    assert not find_positions(flat, every(0.5))[0].any()


@given(st.floats(0.3, 0.85), st.floats(0.0, 1.0))
def test_the_fitted_grid_is_the_true_one(period_s: float, phase: float) -> None:
    beats = every(period_s, phase * period_s)
    grid = fit_to_activation(pulses(beats, 0.9), period_s * 1.01)
    error = np.abs(((beats - grid.start_s) / grid.period_s + 0.5) % 1 - 0.5) * grid.period_s
    assert float(np.median(error)) <= 0.015


@given(st.floats(0.3, 1.0), st.floats(-3.0, 3.0))
def test_times_of_a_grid_cover_the_song(period_s: float, start_s: float) -> None:
    times = grid_times(TempoGrid(period_s, start_s, 1.0), DURATION_S)
    assert 0 <= times[0] < period_s + 1e-9
    assert DURATION_S - period_s - 1e-6 <= times[-1] < DURATION_S
    np.testing.assert_allclose(np.diff(times), period_s)


def test_a_pulse_that_flips_its_phase_is_on_one_of_the_two() -> None:
    grid = TempoGrid(0.5, 0.2, 1.0)
    flipped = np.concatenate([every(0.5)[:40], every(0.5)[40:] + 0.25])
    assert share_on_either_phase(flipped, grid) == 1
    assert share_on_either_phase(every(0.5) + 0.1, grid) == 0
    assert offbeat(grid).start_s == pytest.approx(0.45)


def test_the_fold_shows_kick_and_snare() -> None:
    rock = song()
    bar = fold(rock.features.onsets, every(0.5), 0, steps=8)
    assert bar[:, KICK].argmax() in (0, 4)
    assert bar[:, SNARE].argmax() in (2, 6)
    found = fold_drums(rock.features.onsets, every(0.5))
    assert found.even_has_kick
    assert min(found.kick_alternates, found.snare_alternates) > 1
    skank = fold_drums(song(snare_off=True).features.onsets, every(0.5))
    assert skank.snare_at_beats < 0 < skank.kick_at_beats


def test_excerpt_is_the_middle() -> None:
    samples = np.arange(int(2 * LONGEST_S * 44_100), dtype=np.float32)
    cut = middle(samples)
    assert len(cut) == int(LONGEST_S * 44_100)
    assert cut[0] == len(samples) - len(cut) - cut[0]
    with pytest.raises(TooShortError):
        middle(samples[: int(SHORTEST_S * 44_100) - 1])


def test_files_and_names(tmp_path: Path) -> None:
    for name in ("a/one song.ogg", "b/one song.OGG", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [example_name(path, tmp_path) for path in audio_files(tmp_path)]
    assert names == ["a__one_song", "b__one_song"]


@given(st.text("abcdefg", min_size=1, max_size=12))
def test_variants_stay_in_one_split(name: str) -> None:
    assert split_of(name) == split_of(f"{name}_fast") == split_of(name)


def test_about_a_tenth_is_for_validation() -> None:
    share = np.mean([split_of(f"song-{number}") == "validation" for number in range(1000)])
    assert 0.07 < share < 0.13
