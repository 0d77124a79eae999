"""Finds the rhythm of a song: the committee's beats, their grid, the bars, and confidences."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from k1_analysis.engine.audio.features import Features
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.levels import SILENCE_EDGE_S, AudibleRange, find_audible, find_silences
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.audio.tonal import Tonal
from k1_analysis.engine.beats.agreement.committee import CommitteeResult, MemberName, choose_member
from k1_analysis.engine.beats.agreement.confidence import (
    DecisionEvidence,
    beat_confidence,
    tempo_confidence,
    track_confidence,
)
from k1_analysis.engine.beats.agreement.consensus import (
    SILENT,
    PulseEvidence,
    consensus,
    weigh_pulse,
)
from k1_analysis.engine.beats.agreement.scores import Agreement, compare
from k1_analysis.engine.beats.alternatives import Alternative, alternatives
from k1_analysis.engine.beats.decision.cues import measure
from k1_analysis.engine.beats.decision.evidence import SongEvidence
from k1_analysis.engine.beats.decision.pulse import FEWEST_BEATS, Pulse, decide_pulse
from k1_analysis.engine.beats.interpretations import at_expected_level
from k1_analysis.engine.beats.level_consistency import keep_one_level
from k1_analysis.engine.beats.metrical_level import to_half_tempo
from k1_analysis.engine.beats.refinement import (
    ATTACK_RATE_HZ,
    CLEAR_ATTACK,
    add_first_beat,
    attack_curve,
    onset_curve,
    refine,
    sorted_beats,
)
from k1_analysis.engine.beats.tempo import (
    distinct_tempi,
    main_tempo,
    steady_stretches,
    tempo,
    tempo_curve,
    tempo_stability,
)
from k1_analysis.engine.beats.tempo_grid import TempoGrid, fit_grid
from k1_analysis.engine.beats.trackers.viterbi import TempoModel, track_beats
from k1_analysis.engine.beats.trimming import SongCurves, trim_to_music
from k1_analysis.engine.presets import Preset
from k1_analysis.engine.structure.bars import Bars, find_bars

NET_TEMPI = TempoModel(lowest_bpm=55, highest_bpm=190, inertia=200)
ONSET_TEMPI = TempoModel(lowest_bpm=55, highest_bpm=215, inertia=150)
_ONSET_SCALE = 6.0
"""The strength of the onset curve that counts as a certain beat."""
_ONSET_FLOOR = 0.02
_NO_ACTIVATION = 0.25
"""Median activation at the beats below which the network finds no pulse."""
_NO_AGREEMENT = 0.2
"""Agreement below which the members do not follow a common pulse."""
_NO_ONSETS = 0.03
"""99th percentile of the summed onset functions below which there is no onset, as in a drone."""
_NO_ATTACKS = 2e-3
"""Share of the time at an attack below which there is no attack, as in steady noise."""
_SURE_AGREEMENT = 0.35
"""Agreement that outweighs the lack of attacks."""
_SURE_ACTIVATION = 0.5
"""Activation from which a beat's time is that of the song, not an error of the tracker."""
_STRENGTH_PERCENTILE = 95
_MIN_BEATS = 3
"""Two sounds, such as the clicks at both ends of an empty recording, are not a pulse."""
_BEATS_FELT_AS_ONE = 3
"""Number of beats in a bar that may be felt as one beat."""


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
    """Agreement with the members of other families, after `consensus`."""
    interpretation_score: float
    """Probability of these beats against the alternatives, 0..1; with their scores it is 1 in all."""
    alternatives: list[Alternative]
    constant_tempo: bool
    pulse: Pulse
    """The decision that the beats follow, and how sure it was."""
    evidence: PulseEvidence
    """How sure the song is of the level and the phase of its beats."""
    tempi: tuple[float, ...]
    """The tempi of a song with several, each once and in order of appearance; `bpm` is the one that lasts longest."""
    committee_result: CommitteeResult


def preview_beats(features: Features, activation: Floats) -> Seconds:
    """Return beats from the network alone, refined in time, for the preview."""
    duration_s = len(activation) / FRAME_RATE_HZ
    audible = find_audible(find_silences(features.envelopes, duration_s), duration_s)
    beats = refine(
        track_beats(activation[:, 0], NET_TEMPI),
        activation[:, 0],
        onset_curve(features.onsets),
        attack_curve(features.attack),
    )
    return beats[audible.covers(beats)]


def track_members(features: Features, activation: Floats) -> dict[MemberName, Seconds]:
    """Return the beats of the members that work without Essentia: of the network and of the onsets.

    Args:
        features: of the song.
        activation: (T, 2) the network's beat and downbeat probabilities.
    """
    beat = activation[:, 0]
    return {
        "net": keep_one_level(track_beats(beat, NET_TEMPI), beat, NET_TEMPI.inertia),
        "onsets": track_beats(onset_curve(features.onsets) / _ONSET_SCALE, ONSET_TEMPI, _ONSET_FLOOR),
    }


def find_rhythm(
    features: Features,
    tonal: Tonal,
    activation: Floats,
    *,
    members: Mapping[MemberName, Seconds],
    audible: AudibleRange,
    preset: Preset | None = None,
) -> Rhythm:
    """Return the rhythm of a song.

    Args:
        features: of the song.
        tonal: of the song.
        activation: (T, 2) the network's beat and downbeat probabilities.
        members: the beats of all members, those of `track_members` first.
        audible: when the song sounds; there are no beats in its silences.
        preset: the person's choice, or None: only a preset biases the metrical level and the meter.
    """
    curve = onset_curve(features.onsets)
    attacks = attack_curve(features.attack)
    song = SongEvidence(features, tonal, activation[:, 0], activation[:, 1], curve, attacks, audible)
    within_music: dict[MemberName, Seconds] = {
        name: _within_music(times, audible) for name, times in members.items()
    }
    committee_result = choose_member(
        {name: times[audible.covers(times)] for name, times in within_music.items()},
        song.activation,
        {name: song.bars(times).score for name, times in within_music.items() if len(times) >= FEWEST_BEATS},
    )
    chosen = within_music[committee_result.chosen] if committee_result.chosen else np.empty(0)
    if not _has_pulse(chosen, committee_result, song):
        return _no_rhythm(song, committee_result)
    decided = decide_pulse(chosen, song)
    level = to_half_tempo(decided.beats, features, song.activation)
    pulse = decided.moved_to(at_expected_level(level, song.activation, preset))
    all_beats = refine(pulse.beats, song.activation, curve, attacks)
    grid = _constant_grid(all_beats[audible.covers(all_beats)], song.activation)
    if grid:
        all_beats = grid.times(audible.start_s, audible.end_s)
    else:
        all_beats = add_first_beat(_within_music(all_beats, audible), audible.start_s)
    curves = SongCurves(curve, attacks, song.activation, features.envelopes.rms, tonal.chroma)
    return _describe(
        song, trim_to_music(all_beats, curves), grid, pulse, committee_result=committee_result, preset=preset
    )


def _describe(
    song: SongEvidence,
    all_beats: Seconds,
    grid: TempoGrid | None,
    pulse: Pulse,
    *,
    committee_result: CommitteeResult,
    preset: Preset | None,
) -> Rhythm:
    """Return the rhythm that belongs to these beats.

    Args:
        song: the evidence.
        all_beats: the pulse from the first to the last beat, continued through silences.
        grid: the constant grid of the beats, if there is one.
        pulse: as decided.
        committee_result: members, agreement and the chosen member.
        preset: the person's choice.
    """
    numbers = np.flatnonzero(song.audible.covers(all_beats))
    beats = all_beats[numbers]
    if len(beats) < _MIN_BEATS:
        return _no_rhythm(song, committee_result)
    expected = preset.metres if preset else ()
    bars = find_bars(
        beats, song.features, song.tonal, song.downbeat_activation, expected=expected, numbers=numbers
    )
    strength, activation_at_beats = strength_at(beats, song.onsets), strength_at(beats, song.activation)
    evidence = weigh_pulse(
        beats,
        song.features,
        song.activation,
        phase=pulse.phase,
        level=pulse.level,
        other_level=pulse.other_level,
        compound=bars.compound,
    )
    members = [times for times in committee_result.beats.values() if len(times)]
    certainty = DecisionEvidence(pulse.constant, pulse.phase, pulse.level, evidence.level_in_doubt)
    confidence = track_confidence(beats, members, certainty)
    curve = tempo_curve(all_beats)
    main, prior = measure(beats, song), pulse.prior.log_odds(beats)

    def odds(times: Seconds) -> float:
        return float(np.exp(measure(times, song).log_odds(main) + pulse.prior.log_odds(times) - prior))

    others = alternatives(
        all_beats,
        beats[bars.is_downbeat],
        song.audible,
        odds=odds,
        trackers={name: _refined(times, song) for name, times in committee_result.beats.items()},
        other_level=evidence.other_level,
        one_beat_a_bar=bars.beats_per_bar == _BEATS_FELT_AS_ONE,
    )
    stretches = [] if grid else steady_stretches(all_beats)
    return Rhythm(
        beats=beats,
        bpm=60 / grid.period_s if grid else main_tempo(stretches) or tempo(all_beats),
        bars=bars,
        strength=strength / max(float(np.percentile(strength, _STRENGTH_PERCENTILE)), 1e-9),
        beat_confidence=beat_confidence(beats, members, activation_at_beats, confidence),
        track_confidence=confidence,
        tempo_confidence=tempo_confidence(beats, members, certainty),
        tempo_stability=tempo_stability(all_beats),
        tempo_curve=curve[song.audible.covers(curve[:, 0])],
        agreement=consensus(beats, committee_result.other_methods, evidence),
        interpretation_score=1 - sum(other.score for other in others),
        alternatives=others,
        constant_tempo=grid is not None,
        pulse=pulse,
        evidence=evidence,
        tempi=distinct_tempi(stretches),
        committee_result=committee_result,
    )


def _refined(beats: Seconds, song: SongEvidence) -> Seconds:
    return sorted_beats(refine(beats, song.activation, song.onsets, song.attacks))


def _within_music(times: Seconds, audible: AudibleRange) -> Seconds:
    """Return the times from the first to the last sound, silences between included."""
    return sorted_beats(times[(times >= audible.start_s - SILENCE_EDGE_S) & (times <= audible.end_s)])


def _has_pulse(beats: Seconds, committee_result: CommitteeResult, song: SongEvidence) -> bool:
    """Return whether the song has a pulse at all: the trackers give beats even for noise and drones."""
    onsets = song.features.onsets.sum(axis=1)
    onsets = onsets[song.audible.covers(np.arange(len(onsets)) / FRAME_RATE_HZ)]
    if not len(beats) or float(np.percentile(onsets, 99)) < _NO_ONSETS:
        return False
    audible = song.audible.covers((np.arange(len(song.attacks)) - 1) / ATTACK_RATE_HZ)
    struck = float(np.mean(song.attacks[audible] > CLEAR_ATTACK))
    if struck < _NO_ATTACKS and committee_result.agreement < _SURE_AGREEMENT:
        return False
    median_activation = float(np.median(strength_at(beats[song.audible.covers(beats)], song.activation)))
    return median_activation >= _NO_ACTIVATION or committee_result.agreement >= _NO_AGREEMENT


def _no_rhythm(song: SongEvidence, committee_result: CommitteeResult) -> Rhythm:
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
        interpretation_score=0.0,
        alternatives=[],
        constant_tempo=False,
        pulse=Pulse(nothing, constant=False, phase=0.0, level=0.0, other_level=None),
        evidence=SILENT,
        tempi=(),
        committee_result=committee_result,
    )


def _constant_grid(beats: Seconds, activation: Floats) -> TempoGrid | None:
    """Return the grid of a song that keeps to one from beginning to end; None for any other song."""
    grid = fit_grid(beats)
    sure = strength_at(beats, activation) >= _SURE_ACTIVATION
    return None if grid is None or grid.drifts(beats, sure) else grid
