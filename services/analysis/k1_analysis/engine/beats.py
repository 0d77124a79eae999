"""The rhythm of a song from everything that bears on it: members, committee, grid, bars, confidence."""

from dataclasses import dataclass

import numpy as np

from k1_analysis.engine.agreement import Agreement, compare
from k1_analysis.engine.committee import MemberName, Verdict, deliberate
from k1_analysis.engine.confidence import beat_confidence, track_confidence
from k1_analysis.engine.downbeats import Bars, find_bars
from k1_analysis.engine.edges import without_edges
from k1_analysis.engine.features import Features
from k1_analysis.engine.framing import Floats, Seconds
from k1_analysis.engine.grid import Grid, fit_grid
from k1_analysis.engine.metrical_level import settled
from k1_analysis.engine.presets import Preset
from k1_analysis.engine.pulse import at_full_speed, on_the_kick
from k1_analysis.engine.rhythm import (
    CLEAR_ATTACK,
    SAME_TEMPO,
    Alternative,
    alternatives,
    attack_curve,
    onset_curve,
    reading_score,
    refine,
    rising,
    strength_at,
    tempo,
    with_first_beat,
)
from k1_analysis.engine.tonal import Tonal
from k1_analysis.engine.viterbi import TempoModel, track_beats

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
    agreement: Agreement
    """Of the chosen reading with the strongest member of another family."""
    alternatives: list[Alternative]
    constant_tempo: bool
    verdict: Verdict


def preview_beats(features: Features, activation: Floats) -> Seconds:
    """Beats from the network alone, refined in time: what a first look needs."""
    return refine(
        track_beats(activation[:, 0], NET_TEMPI),
        activation[:, 0],
        onset_curve(features.onsets),
        attack_curve(features.attack),
    )


def find_rhythm(
    features: Features,
    tonal: Tonal,
    activation: Floats,
    *,
    essentia: dict[MemberName, Seconds],
    sounding_s: tuple[float, float],
    preset: Preset | None = None,
) -> Rhythm:
    """The rhythm of a song.

    Args:
        features: of the song.
        tonal: of the song.
        activation: (T, 2) the network's beat and downbeat probabilities.
        essentia: the beats of the other process's trackers, empty where there are none.
        sounding_s: where the sound starts and ends; no beats are reported outside.
        preset: what the person chose, or None: only then the metrical level and metre are biased.
    """
    curve = onset_curve(features.onsets)
    members: dict[MemberName, Seconds] = {
        "net": settled(track_beats(activation[:, 0], NET_TEMPI), activation[:, 0], NET_TEMPI.inertia),
        "onsets": track_beats(curve / _ONSET_SCALE, ONSET_TEMPI, _ONSET_FLOOR),
        **essentia,
    }
    start, end = sounding_s
    verdict = deliberate({name: _inside(times, start, end) for name, times in members.items()})
    chosen = verdict.beats[verdict.chosen] if verdict.chosen else np.empty(0)
    if not _has_pulse(chosen, verdict, features, activation[:, 0]):
        return _no_rhythm(features, tonal, activation, verdict)
    attacks = attack_curve(features.attack)
    pulse = _at_expected_level(_felt(chosen, verdict, features, activation[:, 0]), activation[:, 0], preset)
    grid_times = refine(pulse, activation[:, 0], curve, attacks)
    grid = _clock(grid_times, activation[:, 0])
    beats = grid.times(start, end) if grid else with_first_beat(_inside(grid_times, start, end), start)
    beats = without_edges(beats, curve, attacks, features.envelopes.rms)
    independent = verdict.beats[verdict.independent] if verdict.independent else np.empty(0)
    bars = find_bars(beats, features, tonal, activation[:, 1], preset.metres if preset else ())
    strength, certainty = strength_at(beats, curve), strength_at(beats, activation[:, 0])
    return Rhythm(
        beats=beats,
        bpm=60 / grid.period_s if grid else tempo(beats),
        bars=bars,
        strength=strength / max(float(np.percentile(strength, _STRENGTH_PERCENTILE)), 1e-9),
        beat_confidence=beat_confidence(beats, verdict, certainty),
        track_confidence=track_confidence(verdict, certainty),
        tempo_confidence=_tempo_confidence(beats, verdict),
        agreement=compare(beats, independent),
        alternatives=alternatives(
            beats, activation[:, 0], bars.is_downbeat if bars.beats_per_bar == _FELT_IN_ONE else None
        ),
        constant_tempo=grid is not None,
        verdict=verdict,
    )


def _inside(times: Seconds, start_s: float, end_s: float) -> Seconds:
    # Half a hop of grace: a beat on the very first sample is often found a frame early.
    return rising(times[(times >= start_s - 0.05) & (times <= end_s)])


def _has_pulse(beats: Seconds, verdict: Verdict, features: Features, activation: Floats) -> bool:
    """Whether anything beats: the members always answer, even to noise and drones."""
    if not len(beats) or float(np.percentile(features.onsets.sum(axis=1), 99)) < _NO_ONSETS:
        return False
    struck = float(np.mean(attack_curve(features.attack) > CLEAR_ATTACK))
    if struck < _NO_ATTACKS and verdict.agreement < _SURE_AGREEMENT:
        return False
    heard = float(np.median(strength_at(beats, activation)))
    return heard >= _NO_ACTIVATION or verdict.agreement >= _NO_AGREEMENT


def _no_rhythm(features: Features, tonal: Tonal, activation: Floats, verdict: Verdict) -> Rhythm:
    nothing = np.empty(0)
    return Rhythm(
        beats=nothing,
        bpm=0.0,
        bars=find_bars(nothing, features, tonal, activation[:, 1]),
        strength=np.empty(0, np.float32),
        beat_confidence=nothing,
        track_confidence=0.0,
        tempo_confidence=0.0,
        agreement=compare(nothing, nothing),
        alternatives=[],
        constant_tempo=False,
        verdict=verdict,
    )


def _clock(beats: Seconds, activation: Floats) -> Grid | None:
    """The grid of a song that keeps to one from beginning to end."""
    grid = fit_grid(beats)
    sure = strength_at(beats, activation) >= _SURE_ACTIVATION
    return None if grid is None or grid.strays(beats, sure) else grid


def _felt(beats: Seconds, verdict: Verdict, features: Features, activation: Floats) -> Seconds:
    """The pulse that the drums speak for."""
    others = [times for name, times in verdict.beats.items() if name != verdict.chosen]
    return on_the_kick(at_full_speed(beats, features, activation), others, features)


def _at_expected_level(beats: Seconds, activation: Floats, preset: Preset | None) -> Seconds:
    """The beats, or their half or double where the preset's tempo range asks for it."""
    if preset is None or _fits(beats, preset):
        return beats
    readings = [
        other.beats
        for other in alternatives(beats, activation)
        if other.kind in {"half", "double"} and _fits(other.beats, preset)
    ]
    return max(readings, key=lambda times: reading_score(times, activation), default=beats)


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
