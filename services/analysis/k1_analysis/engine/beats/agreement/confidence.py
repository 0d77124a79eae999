"""Turns the trackers' agreement and the network's activation into confidences, which are probabilities.

Between the points of the tables the mapping is linear.

How the tables were fitted: the engine without a preset on 52 generated songs of 110 s in twelve styles, whose seeds
and patterns were not in the training. Isotonic regression (pool adjacent violators) of each song's F-measure on
its evidence, and of the hits of 11,600 beats on theirs, was read off at a few points; below the evidence that
five songs had, the line goes on to zero. Real music is harder than generated music: `docs/benchmarks.md` shows
how accurate the confidences were where they were measured.
"""

import numpy as np

from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.audio.times import nearest
from k1_analysis.engine.beats.agreement.committee import CommitteeResult
from k1_analysis.engine.beats.agreement.scores import MATCH_WINDOW_S
from k1_analysis.engine.beats.tempo import SAME_TEMPO, tempo

TRACK_TABLE = ((0.0, 0.1), (0.3, 0.42), (0.45, 0.78), (0.6, 0.93), (0.75, 0.96), (0.9, 0.985))
"""(mean of the chosen member's mean information gain and the median activation at the beats, expected F-measure)."""
DOUBTFUL_LEVEL = 5 / 6
"""Factor for a song that may have half the tempo: then every other beat is wrong and the F-measure 2/3, else 1."""
BEAT_TABLE = ((0.0, 0.5), (0.3, 0.83), (0.5, 0.88), (0.8, 0.9), (0.95, 0.93), (1.0, 0.975))
"""(share of the committee's weight with a beat here, probability that the beat is right)."""


def track_confidence(committee_result: CommitteeResult, activation: Floats) -> float:
    """Return the expected F-measure of the song's beats, 0..1.

    Args:
        committee_result: members, agreement and the chosen member.
        activation: (n,) the network's activation at the song's beats.
    """
    if not len(activation):
        return 0.0
    return float(_lookup(TRACK_TABLE, (committee_result.agreement + float(np.median(activation))) / 2))


def beat_confidence(beats: Seconds, committee_result: CommitteeResult, activation: Floats) -> Seconds:
    """Return (n,): the probability that each beat is right, from the network and the members with a beat there."""
    if not len(beats):
        return np.empty(0)
    evidence_per_member = [np.minimum(1.0, 1.2 * activation.astype(np.float64))]
    evidence_per_member.extend(
        (np.abs(times[nearest(times, beats)] - beats) <= MATCH_WINDOW_S).astype(np.float64)
        for times in committee_result.beats.values()
        if len(times)
    )
    return np.asarray(_lookup(BEAT_TABLE, np.mean(evidence_per_member, axis=0)))


def tempo_confidence(beats: Seconds, committee_result: CommitteeResult) -> float:
    """Return the share of the members at the same tempo, within 4 %; half or double tempo counts half."""
    own = tempo(beats)
    votes: list[float] = []
    for times in committee_result.beats.values():
        ratio = tempo(times) / own if own else 0.0
        same = abs(ratio - 1) <= SAME_TEMPO
        octave = min(abs(ratio / 2 - 1), abs(ratio * 2 - 1)) <= SAME_TEMPO
        votes.append(1.0 if same else 0.5 if octave else 0.0)
    return float(np.mean(votes)) if votes else 0.0


def _lookup(table: tuple[tuple[float, float], ...], evidence: float | Seconds) -> float | Seconds:
    points, values = zip(*table, strict=True)
    return np.interp(evidence, points, values)
