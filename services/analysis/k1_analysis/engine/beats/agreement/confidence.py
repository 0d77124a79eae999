"""Turns the evidence of a song into confidences, which are probabilities.

How the weights were found: logistic regression on whole songs and on stretches of 40 s, of the ten real songs for
development, each with the activations of five networks, and of 144 generated songs whose seeds were not in the
training. Real songs have seven tenths of the weight. `training/decision/confidence.py` repeats it, and
`docs/benchmarks.md` shows how accurate the confidences were where they were measured.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.audio.times import nearest
from k1_analysis.engine.beats.agreement.scores import MATCH_WINDOW_S, f_measure, skip_start
from k1_analysis.engine.beats.tempo import SAME_TEMPO, tempo

MOST_PHASE, MOST_LEVEL = 5.0, 3.0
"""Log odds of phase and level beyond which more evidence adds no confidence."""
DOUBTFUL_LEVEL, DOUBTFUL_TEMPO = 5 / 6, 0.5
"""Most confidence in beats and tempo if another level is as likely: then the F-measure is 1, or 2/3 at the other."""
_EXTREME = 0.02


@dataclass(frozen=True, slots=True)
class TrackWeights:
    """Log odds per unit of each piece of evidence."""

    constant: float = -1.06
    agreement: float = 0.7
    grid: float = 0.7
    phase: float = 0.41
    level: float = 0.4


@dataclass(frozen=True, slots=True)
class TempoWeights:
    """Log odds per unit of each piece of evidence."""

    constant: float = 0.68
    votes: float = 0.47
    grid: float = 0.81
    level: float = 0.64


@dataclass(frozen=True, slots=True)
class BeatWeights:
    """Log odds per unit of each piece of evidence."""

    constant: float = -0.9
    track: float = 1.42
    members: float = 0.06
    activation: float = 0.42


TRACK, TEMPO, BEAT = TrackWeights(), TempoWeights(), BeatWeights()


@dataclass(frozen=True, slots=True)
class DecisionEvidence:
    """What the decision about the pulse says of its own certainty."""

    constant: bool
    """The pulse is a constant grid."""
    phase: float
    """Log odds of the phase."""
    level: float
    """Log odds of the metrical level."""
    level_in_doubt: bool = False
    """Another level is as likely."""


def track_confidence(beats: Seconds, members: Collection[Seconds], decision: DecisionEvidence) -> float:
    """Return the expected F-measure of the song's beats, 0..1.

    Args:
        beats: of the song: rising times in seconds.
        members: the beats of each tracker.
        decision: how certain the decision about the pulse was.
    """
    if not len(beats):
        return 0.0
    agreement = _mean([f_measure(skip_start(beats), skip_start(times)) for times in members])
    found = float(
        expit(
            TRACK.constant
            + TRACK.agreement * agreement
            + TRACK.grid * decision.constant
            + TRACK.phase * float(np.clip(decision.phase, 0, MOST_PHASE))
            + TRACK.level * float(np.clip(decision.level, 0, MOST_LEVEL))
        )
    )
    return min(found, DOUBTFUL_LEVEL) if decision.level_in_doubt else found


def tempo_confidence(beats: Seconds, members: Collection[Seconds], decision: DecisionEvidence) -> float:
    """Return the probability that the tempo is right within 4 %, 0..1; arguments as for `track_confidence`."""
    own = tempo(beats)
    if not own:
        return 0.0
    votes = _mean([float(abs(tempo(times) / own - 1) <= SAME_TEMPO) for times in members])
    found = float(
        expit(
            TEMPO.constant
            + TEMPO.votes * votes
            + TEMPO.grid * decision.constant
            + TEMPO.level * float(np.clip(decision.level, 0, MOST_LEVEL))
        )
    )
    return min(found, DOUBTFUL_TEMPO) if decision.level_in_doubt else found


def beat_confidence(
    beats: Seconds, members: Collection[Seconds], activation: Floats, track: float
) -> Seconds:
    """Return (n,): the probability that each beat is right.

    Args:
        beats: (n,) of the song: rising times in seconds.
        members: the beats of each tracker.
        activation: (n,) the network's activation at the beats.
        track: the confidence of the whole track.
    """
    near = [
        (np.abs(times[nearest(times, beats)] - beats) <= MATCH_WINDOW_S).astype(np.float64)
        for times in members
        if len(times) and len(beats)
    ]
    share = np.mean(near, axis=0) if near else np.zeros(len(beats))
    log_odds = float(logit(np.clip(track, _EXTREME, 1 - _EXTREME)))
    return np.asarray(
        expit(
            BEAT.constant
            + BEAT.track * log_odds
            + BEAT.members * share
            + BEAT.activation * activation.astype(np.float64)
        ),
        np.float64,
    )


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0
