"""Decides between two metrical levels of one pulse: all of its beats, or every second (or third) of them.

Each cue is weighted to log odds. The tempo alone is right in nine of ten songs, and wrong just where listeners need
help: fast songs that are read at half and slow ones that are read at double. So the beats between, the drums, the
bars and the trackers' votes join it.

How the weights were found: logistic regression on the annotated beats and their doubles (triples) of 144 generated
songs, of which no seed was in the training, and the real songs whose level is certain.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.beats.agreement.scores import f_measure, skip_start
from k1_analysis.engine.beats.decision.evidence import SongEvidence
from k1_analysis.engine.beats.decision.phase import mean_log
from k1_analysis.engine.beats.metrical_level import backbeat
from k1_analysis.engine.beats.tempo import tempo

REFERENCE_BPM = 150.0
_BACKBEAT_RANGE = (-0.2, 0.8)
_REACH = 2


@dataclass(frozen=True, slots=True)
class LevelWeights:
    """Log odds per unit of each cue."""

    constant: float
    tempo: float
    votes: float
    contrast: float
    between: float
    backbeat_all: float
    backbeat_slow: float
    bars: float


WEIGHTS = {
    2: LevelWeights(2.3, -1.9, 2.5, 0.46, 0.4, -1.8, -0.6, 3.7),
    3: LevelWeights(2.2, -1.4, 1.8, 0.44, 0.46, 1.7, -0.8, 2.2),
}


@dataclass(frozen=True, slots=True)
class LevelCues:
    """The evidence that all beats count, and not only every second or third, each as log odds."""

    slow: Seconds
    """The best of every second (third) beat."""
    tempo: float
    """Of all beats, with the constant."""
    votes: float
    """How much better the members' beats match all beats."""
    activation: float
    """The network's probability at the other beats, absolute and against that at the slow ones."""
    backbeat: float
    """Kick and snare alternate at the slow beats, or at all."""
    bars: float
    """How much better bars all beats make."""

    @property
    def log_odds(self) -> float:
        return self.tempo + self.votes + self.activation + self.backbeat + self.bars


def compare_levels(
    beats: Seconds, step: int, song: SongEvidence, members: Mapping[str, Seconds]
) -> LevelCues:
    """Return the evidence for all beats against every `step`-th of them.

    Args:
        beats: rising times in seconds.
        step: 2 or 3.
        song: the evidence.
        members: the beats of the trackers.
    """
    weights = WEIGHTS[step]
    phases = [beats[first::step] for first in range(step)]
    best = max(range(step), key=lambda first: _support(phases[first], song))
    slow = phases[best]
    others = np.sort(np.concatenate([times for first, times in enumerate(phases) if first != best]))
    at, between = mean_log(slow, song.activation), mean_log(others, song.activation)
    votes = [
        f_measure(skip_start(beats), skip_start(times)) - f_measure(skip_start(slow), skip_start(times))
        for times in members.values()
    ]
    return LevelCues(
        slow=slow,
        tempo=weights.constant + weights.tempo * float(np.log2(max(tempo(beats), 1.0) / REFERENCE_BPM)),
        votes=weights.votes * float(np.mean(votes)) if votes else 0.0,
        activation=weights.contrast * (between - at) + weights.between * between,
        backbeat=weights.backbeat_all * _backbeat(beats, song)
        + weights.backbeat_slow * _backbeat(slow, song),
        bars=weights.bars * (song.bars(beats).score - song.bars(slow).score),
    )


def _support(beats: Seconds, song: SongEvidence) -> float:
    onsets = float(np.mean(strength_at(beats, song.onsets, _REACH)))
    return onsets + 2 * float(np.mean(strength_at(beats, song.activation)))


def _backbeat(beats: Seconds, song: SongEvidence) -> float:
    return float(np.clip(backbeat(beats, song.features.log_bands), *_BACKBEAT_RANGE))
