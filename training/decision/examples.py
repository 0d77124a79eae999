"""Measures the cues of annotated songs: the right reading of each, and the wrong ones that it could be taken for."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.decoding import decode
from k1_analysis.engine.audio.features import extract
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ
from k1_analysis.engine.audio.levels import find_audible, find_silences
from k1_analysis.engine.audio.tonal import TonalExtractor
from k1_analysis.engine.beats.decision.cues import PulseCues, measure
from k1_analysis.engine.beats.decision.evidence import SongEvidence
from k1_analysis.engine.beats.decision.pulse import other_levels
from k1_analysis.engine.beats.refinement import attack_curve, onset_curve
from k1_analysis.engine.beats.trackers.activation import default_net

Times = NDArray[np.float64]
_FEWEST_BEATS = 32


@dataclass(frozen=True)
class PhaseExample:
    """The cues of the annotated beats, and of the times midway between them."""

    song: str
    right: PulseCues
    wrong: PulseCues


@dataclass(frozen=True)
class LevelExample:
    """The cues of the annotated beats, and of the best phase of each other metrical level."""

    song: str
    right: PulseCues
    wrong: list[PulseCues]


def song_evidence(path: Path) -> SongEvidence:
    """Return the evidence of an audio file, as the engine collects it."""
    samples = decode(path).samples
    features = extract(samples)
    tonal = TonalExtractor()
    tonal.push(samples)
    activation = default_net()(features.log_bands)
    duration_s = len(activation) / FRAME_RATE_HZ
    return SongEvidence(
        features=features,
        tonal=tonal.finish(),
        activation=activation[:, 0],
        downbeat_activation=activation[:, 1],
        onsets=onset_curve(features.onsets),
        attacks=attack_curve(features.attack),
        audible=find_audible(find_silences(features.envelopes, duration_s), duration_s),
    )


def audible_beats(beats: Times, song: SongEvidence) -> Times:
    """Return the annotated beats while the song sounds."""
    return beats[song.audible.covers(beats) & (beats < len(song.activation) / FRAME_RATE_HZ)]


def phase_example(name: str, beats: Times, song: SongEvidence) -> PhaseExample | None:
    """Return the example of a song; None if it has too few beats."""
    if len(beats) < _FEWEST_BEATS:
        return None
    midway = beats[:-1] + np.diff(beats) / 2
    return PhaseExample(name, measure(beats, song), measure(midway, song))


def level_example(name: str, beats: Times, song: SongEvidence) -> LevelExample | None:
    """Return the example of a song; None if it has too few beats."""
    if len(beats) < _FEWEST_BEATS:
        return None
    wrong = [
        max((measure(phase, song) for phase in phases), key=lambda cues: cues.phase_score)
        for phases in other_levels(beats)
    ]
    return LevelExample(name, measure(beats, song), wrong)
