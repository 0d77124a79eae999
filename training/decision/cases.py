"""Measures the evidence of the engine's confidences, and what came true, on annotated songs and stretches of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.beats.dataset import AnnotatedTrack
from benchmarks.beats.readings import best_of, f_measure, halves
from k1_analysis.engine.audio import framing
from k1_analysis.engine.audio.decoding import decode
from k1_analysis.engine.audio.features import extract
from k1_analysis.engine.audio.times import nearest, strength_at
from k1_analysis.engine.audio.tonal import TonalExtractor
from k1_analysis.engine.beats.agreement import scores
from k1_analysis.engine.beats.agreement.confidence import MOST_LEVEL, MOST_PHASE
from k1_analysis.engine.beats.rhythm import Rhythm, find_rhythm, track_members
from k1_analysis.engine.beats.tempo import SAME_TEMPO, tempo
from k1_analysis.engine.beats.trackers import essentia
from k1_analysis.engine.beats.trackers.activation import BeatNet
from training.decision.windows import Recording, cut, spans, times_within

Array = NDArray[np.float64]
STRETCH_S = 40
_FEWEST_BEATS = 12
_BLOCK = 10 * framing.SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Case:
    """The evidence and the outcome of one recording with one network's activation."""

    song: str
    real: bool
    whole: bool
    """The whole song, not a stretch of it."""
    agreement: float
    votes: float
    grid: bool
    phase: float
    level: float
    level_in_doubt: bool
    members: Array
    """(n,) share of the trackers with a beat near each beat."""
    activation: Array
    """(n,) at the beats."""
    f: float
    """F-measure of the beats."""
    tempo_right: bool
    hits: Array
    """(n,) 1 if a beat is right, else 0."""

    @property
    def track_evidence(self) -> list[float]:
        """Return the evidence in the order of `TrackWeights`, without the constant."""
        return [self.agreement, float(self.grid), self.phase, self.level]

    @property
    def tempo_evidence(self) -> list[float]:
        """Return the evidence in the order of `TempoWeights`, without the constant."""
        return [self.votes, float(self.grid), self.level]


def record(track: AnnotatedTrack, nets: Sequence[BeatNet]) -> list[Recording]:
    """Return what the engine measures of a song: once with the activation of each network."""
    samples = decode(track.path).samples
    features = extract(samples)
    tonal = TonalExtractor()
    tonal.push(samples)
    blocks = (samples[first : first + _BLOCK] for first in range(0, len(samples), _BLOCK))
    found = essentia.track(blocks, ("degara", "multifeature"))
    first = Recording(
        features,
        tonal.finish(),
        nets[0](features.log_bands),
        {"degara": found.degara, "multifeature": found.multifeature},
    )
    return [first, *(replace(first, activation=net(features.log_bands)) for net in nets[1:])]


def cases_of(track: AnnotatedTrack, recording: Recording) -> Iterator[Case]:
    """Yield the case of the whole song and those of its stretches; none of those with few or no beats."""
    if (case := _case(track, recording, whole=True)) is not None:
        yield case
    for span in spans(int(recording.duration_s), STRETCH_S):
        part = replace(track, beats=times_within(track.beats, span))
        if (case := _case(part, cut(recording, span), whole=False)) is not None:
            yield case


def _case(track: AnnotatedTrack, recording: Recording, *, whole: bool) -> Case | None:
    audible = recording.audible
    beats = track.beats[audible.covers(track.beats)]
    if len(beats) < _FEWEST_BEATS:
        return None
    rhythm = find_rhythm(
        recording.features,
        recording.tonal,
        recording.activation,
        members=track_members(recording.features, recording.activation) | dict(recording.trackers),
        audible=audible,
    )
    if not len(rhythm.beats):
        return None
    readings = (beats, *halves(beats)) if track.level_uncertain else (beats,)
    return evidence(
        replace(track, beats=best_of(readings, rhythm.beats)), rhythm, recording.activation[:, 0], whole=whole
    )


def evidence(track: AnnotatedTrack, rhythm: Rhythm, activation: framing.Floats, *, whole: bool) -> Case:
    """Return the case of a rhythm with at least one beat, with the evidence as the engine takes it.

    Args:
        track: with the annotated beats that count as true.
        rhythm: as found.
        activation: (T,) the network's probability of a beat.
        whole: the whole song, not a stretch of it.
    """
    beats, pulse = rhythm.beats, rhythm.pulse
    members = [times for times in rhythm.committee_result.beats.values() if len(times)]
    own = scores.skip_start(beats)
    return Case(
        song=track.name,
        real=not track.generated,
        whole=whole,
        agreement=_mean([scores.f_measure(own, scores.skip_start(times)) for times in members]),
        votes=_mean([float(_same_tempo(tempo(times), tempo(beats))) for times in members]),
        grid=pulse.constant,
        phase=float(np.clip(pulse.phase, 0, MOST_PHASE)),
        level=float(np.clip(pulse.level, 0, MOST_LEVEL)),
        level_in_doubt=rhythm.evidence.level_in_doubt,
        members=np.mean([_near(times, beats) for times in members], axis=0),
        activation=strength_at(beats, activation).astype(np.float64),
        f=f_measure(track.beats, beats),
        tempo_right=_same_tempo(rhythm.bpm, track.bpm),
        hits=_near(track.beats, beats),
    )


def _same_tempo(bpm: float, reference: float) -> bool:
    return reference > 0 and abs(bpm / reference - 1) <= SAME_TEMPO


def _near(times: Array, beats: Array) -> Array:
    """Return (n,): 1 for each beat with one of the times (not empty) within the window, else 0."""
    distance = np.abs(times[nearest(times, beats)] - beats)
    return (distance <= scores.MATCH_WINDOW_S).astype(np.float64)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0
