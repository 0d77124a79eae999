"""The rhythm of a song from everything that bears on it: members, committee, grid, bars, confidence."""

from dataclasses import dataclass

import numpy as np

from k1_analysis.engine.audio.features import Features
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.levels import SILENCE_EDGE_S, Sounding, silences, sounding
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.audio.tonal import Tonal
from k1_analysis.engine.beats.agreement.committee import MemberName, Verdict, deliberate
from k1_analysis.engine.beats.agreement.confidence import DOUBTFUL_LEVEL, beat_confidence, track_confidence
from k1_analysis.engine.beats.agreement.consensus import consensus, level_in_doubt
from k1_analysis.engine.beats.agreement.scores import Agreement, compare
from k1_analysis.engine.beats.alternatives import Alternative, alternatives, reading_score, readings
from k1_analysis.engine.beats.level_consistency import settled
from k1_analysis.engine.beats.metrical_level import (
    at_full_speed,
    at_half_speed,
    halves,
    on_the_kick,
    quiet_between,
)
from k1_analysis.engine.beats.refinement import (
    ATTACK_RATE_HZ,
    CLEAR_ATTACK,
    attack_curve,
    onset_curve,
    refine,
    rising,
    with_first_beat,
)
from k1_analysis.engine.beats.tempo import (
    SAME_TEMPO,
    distinct_tempi,
    main_tempo,
    steady_stretches,
    tempo,
    tempo_curve,
    tempo_stability,
)
from k1_analysis.engine.beats.tempo_grid import Grid, fit_grid
from k1_analysis.engine.beats.trackers.viterbi import TempoModel, track_beats
from k1_analysis.engine.beats.trimming import Surroundings, without_edges
from k1_analysis.engine.presets import Preset
from k1_analysis.engine.structure.bars import Bars, find_bars

NET_TEMPI = TempoModel(lowest_bpm=55, highest_bpm=190, inertia=200)
ONSET_TEMPI = TempoModel(lowest_bpm=55, highest_bpm=215, inertia=150)
_ONSET_SCALE = 6.0
"""An onset of this many times the usual strength is surely a beat."""
_ONSET_FLOOR = 0.02
_NO_ACTIVATION = 0.35
"""Median activation at the beats below which the network hears no pulse."""
_NO_AGREEMENT = 0.2
"""Agreement below which the committee follows nothing but its own habits."""
_NO_ONSETS = 0.03
"""99th percentile of the summed onset functions below which nothing is ever struck, as in a drone."""
_NO_ATTACKS = 2e-3
"""Share of the time at an attack below which nothing is struck, as in steady noise."""
_SURE_AGREEMENT = 0.35
"""Agreement that outweighs the lack of attacks."""
_SURE_ACTIVATION = 0.5
"""Activation from which a beat's place is the song's, not the tracker's."""
_STRENGTH_PERCENTILE = 95
_FEWEST_BEATS = 3
"""Two sounds, such as the clicks at both ends of a recording of nothing, make no pulse."""
_FELT_IN_ONE = 3
"""Beats of a bar that may be felt as one."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The pulse of a song; arrays have one element a beat."""

    beats: Seconds
    bpm: float
    bars: Bars
    strength: Floats
    beat_confidence: Seconds
    track_confidence: float
    tempo_confidence: float
    tempo_stability: float
    tempo_curve: Seconds
    """(N, 2) time in seconds and local tempo."""
    agreement: Agreement
    """With the strongest member of another family, as `consensus` weighs it."""
    alternatives: list[Alternative]
    constant_tempo: bool
    level_in_doubt: bool
    """Half the tempo is as good a reading."""
    tempi: tuple[float, ...]
    """Of a song with several, each once and in order of appearance; `bpm` is that which lasts longest."""
    verdict: Verdict


def preview_beats(features: Features, activation: Floats) -> Seconds:
    """Beats from the network alone, refined in time: what a first look needs."""
    duration_s = len(activation) / FRAME_RATE_HZ
    audible = sounding(silences(features.envelopes, duration_s), duration_s)
    beats = refine(
        track_beats(activation[:, 0], NET_TEMPI),
        activation[:, 0],
        onset_curve(features.onsets),
        attack_curve(features.attack),
    )
    return beats[audible.covers(beats)]


@dataclass(frozen=True, slots=True)
class _Song:
    """What is known of a song before its pulse is."""

    features: Features
    tonal: Tonal
    activation: Floats
    """(T,) of a beat."""
    downbeat_activation: Floats
    """(T,)"""
    onsets: Floats
    """`onset_curve`"""
    attacks: Floats
    """`attack_curve`"""
    sounding: Sounding


def find_rhythm(
    features: Features,
    tonal: Tonal,
    activation: Floats,
    *,
    essentia: dict[MemberName, Seconds],
    sounding: Sounding,
    preset: Preset | None = None,
) -> Rhythm:
    """The rhythm of a song.

    Args:
        features: of the song.
        tonal: of the song.
        activation: (T, 2) the network's beat and downbeat probabilities.
        essentia: the beats of the other process's trackers, empty where there are none.
        sounding: when the song sounds; no beats are reported in its silences.
        preset: what the person chose, or None: only then the metrical level and metre are biased.
    """
    curve = onset_curve(features.onsets)
    attacks = attack_curve(features.attack)
    song = _Song(features, tonal, activation[:, 0], activation[:, 1], curve, attacks, sounding)
    members: dict[MemberName, Seconds] = {
        "net": settled(track_beats(song.activation, NET_TEMPI), song.activation, NET_TEMPI.inertia),
        "onsets": track_beats(curve / _ONSET_SCALE, ONSET_TEMPI, _ONSET_FLOOR),
        **essentia,
    }
    counted: dict[MemberName, Seconds] = {name: _inside(times, sounding) for name, times in members.items()}
    verdict = deliberate({name: times[sounding.covers(times)] for name, times in counted.items()})
    chosen = counted[verdict.chosen] if verdict.chosen else np.empty(0)
    if not _has_pulse(chosen, verdict, song):
        return _no_rhythm(song, verdict)
    pulse = _at_expected_level(_felt(chosen, verdict, song), song.activation, preset)
    count = refine(pulse, song.activation, curve, attacks)
    grid = _clock(count[sounding.covers(count)], song.activation)
    if grid:
        count = grid.times(sounding.start_s, sounding.end_s)
    else:
        count = with_first_beat(_inside(count, sounding), sounding.start_s)
    around = Surroundings(curve, attacks, song.activation, features.envelopes.rms, tonal.chroma)
    return _described(song, without_edges(count, around), grid, verdict, preset)


def _described(
    song: _Song, count: Seconds, grid: Grid | None, verdict: Verdict, preset: Preset | None
) -> Rhythm:
    """Everything about a pulse.

    Args:
        song: to which it belongs.
        count: the pulse from the first to the last beat, through silences, which have no beats of the song.
        grid: behind it, if it has one.
        verdict: of the committee.
        preset: what the person chose.
    """
    numbers = np.flatnonzero(song.sounding.covers(count))
    beats = count[numbers]
    if len(beats) < _FEWEST_BEATS:
        return _no_rhythm(song, verdict)
    metres = preset.metres if preset else ()
    bars = find_bars(
        beats, song.features, song.tonal, song.downbeat_activation, expected=metres, numbers=numbers
    )
    strength, certainty = strength_at(beats, song.onsets), strength_at(beats, song.activation)
    independent = verdict.beats[verdict.independent] if verdict.independent else np.empty(0)
    compared = halves(beats, song.features, song.activation)
    doubtful = level_in_doubt(beats, compared, compound=bars.compound)
    curve = tempo_curve(count)
    stretches = [] if grid else steady_stretches(count)
    return Rhythm(
        beats=beats,
        bpm=60 / grid.period_s if grid else main_tempo(stretches) or tempo(count),
        bars=bars,
        strength=strength / max(float(np.percentile(strength, _STRENGTH_PERCENTILE)), 1e-9),
        beat_confidence=beat_confidence(beats, verdict, certainty),
        track_confidence=track_confidence(verdict, certainty) * (DOUBTFUL_LEVEL if doubtful else 1),
        tempo_confidence=_tempo_confidence(beats, verdict) * (0.5 if doubtful else 1),
        tempo_stability=tempo_stability(count),
        tempo_curve=curve[song.sounding.covers(curve[:, 0])],
        agreement=consensus(
            beats,
            independent,
            compared,
            doubtful=doubtful,
            quiet_between=quiet_between(beats, song.features, song.activation),
        ),
        alternatives=alternatives(
            count,
            song.activation,
            song.sounding,
            beats[bars.is_downbeat] if bars.beats_per_bar == _FELT_IN_ONE else None,
        ),
        constant_tempo=grid is not None,
        level_in_doubt=doubtful,
        tempi=distinct_tempi(stretches),
        verdict=verdict,
    )


def _inside(times: Seconds, sounding: Sounding) -> Seconds:
    """The times from the first to the last sound, silences between included."""
    return rising(times[(times >= sounding.start_s - SILENCE_EDGE_S) & (times <= sounding.end_s)])


def _has_pulse(beats: Seconds, verdict: Verdict, song: _Song) -> bool:
    """Whether anything beats: the members always answer, even to noise and drones."""
    onsets = song.features.onsets.sum(axis=1)
    onsets = onsets[song.sounding.covers(np.arange(len(onsets)) / FRAME_RATE_HZ)]
    if not len(beats) or float(np.percentile(onsets, 99)) < _NO_ONSETS:
        return False
    audible = song.sounding.covers((np.arange(len(song.attacks)) - 1) / ATTACK_RATE_HZ)
    struck = float(np.mean(song.attacks[audible] > CLEAR_ATTACK))
    if struck < _NO_ATTACKS and verdict.agreement < _SURE_AGREEMENT:
        return False
    heard = float(np.median(strength_at(beats[song.sounding.covers(beats)], song.activation)))
    return heard >= _NO_ACTIVATION or verdict.agreement >= _NO_AGREEMENT


def _no_rhythm(song: _Song, verdict: Verdict) -> Rhythm:
    nothing = np.empty(0)
    return Rhythm(
        beats=nothing,
        bpm=0.0,
        bars=find_bars(nothing, song.features, song.tonal, song.downbeat_activation),
        strength=np.empty(0, np.float32),
        beat_confidence=nothing,
        track_confidence=0.0,
        tempo_confidence=0.0,
        tempo_stability=0.0,
        tempo_curve=np.empty((0, 2)),
        agreement=compare(nothing, nothing),
        alternatives=[],
        constant_tempo=False,
        level_in_doubt=False,
        tempi=(),
        verdict=verdict,
    )


def _clock(beats: Seconds, activation: Floats) -> Grid | None:
    """The grid of a song that keeps to one from beginning to end."""
    grid = fit_grid(beats)
    sure = strength_at(beats, activation) >= _SURE_ACTIVATION
    return None if grid is None or grid.strays(beats, sure) else grid


def _felt(beats: Seconds, verdict: Verdict, song: _Song) -> Seconds:
    """The pulse that the drums speak for."""
    others = [times for name, times in verdict.beats.items() if name != verdict.chosen]
    level = at_half_speed(beats, song.features, song.activation)
    return on_the_kick(at_full_speed(level, song.features, song.activation), others, song.features)


def _at_expected_level(beats: Seconds, activation: Floats, preset: Preset | None) -> Seconds:
    """The beats, or their half or double where the preset's tempo range asks for it."""
    if preset is None or _fits(beats, preset):
        return beats
    fitting = [
        times for kind, times in readings(beats) if kind in {"half", "double"} and _fits(times, preset)
    ]
    return max(fitting, key=lambda times: reading_score(times, activation), default=beats)


def _fits(beats: Seconds, preset: Preset) -> bool:
    low, high = preset.tempo_bpm
    return low <= tempo(beats) <= high


def _tempo_confidence(beats: Seconds, verdict: Verdict) -> float:
    """Share of the members at the same tempo, within 4 %; half a vote at half or double tempo."""
    own = tempo(beats)
    votes: list[float] = []
    for times in verdict.beats.values():
        ratio = tempo(times) / own if own else 0.0
        same = abs(ratio - 1) <= SAME_TEMPO
        octave = min(abs(ratio / 2 - 1), abs(ratio * 2 - 1)) <= SAME_TEMPO
        votes.append(1.0 if same else 0.5 if octave else 0.0)
    return float(np.mean(votes)) if votes else 0.0
