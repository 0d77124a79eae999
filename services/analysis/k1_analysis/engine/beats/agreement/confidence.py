"""What the trackers' agreement and the network's certainty are worth, as a probability.

The one place that turns evidence into confidence; between the points of the tables the mapping is linear.

How the tables were fitted: the engine without a preset on 52 generated songs of 110 s in twelve styles, whose seeds
and patterns the network never saw. Isotonic regression (pool adjacent violators) of each song's F-measure on
its evidence, and of the hits of 11,600 beats on theirs, was read off at a few points; below the evidence that
five songs had, the line goes on to zero. Real music is harder than generated music: `docs/benchmarks.md` shows
what a confidence was worth where it was measured.
"""

import numpy as np

from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.audio.times import nearest
from k1_analysis.engine.beats.agreement.committee import Verdict
from k1_analysis.engine.beats.agreement.scores import MATCH_WINDOW_S

TRACK_TABLE = ((0.0, 0.1), (0.3, 0.42), (0.45, 0.78), (0.6, 0.93), (0.75, 0.96), (0.9, 0.985))
"""(mean of the chosen member's mean information gain and the median activation at the beats, expected F-measure)."""
DOUBTFUL_LEVEL = 5 / 6
"""Factor for a song that may as well be felt at half the tempo: then every other beat is wrong and the F-measure 2/3,
else 1."""
BEAT_TABLE = ((0.0, 0.5), (0.3, 0.83), (0.5, 0.88), (0.8, 0.9), (0.95, 0.93), (1.0, 0.975))
"""(share of the committee's weight with a beat here, probability that the beat is right)."""


def track_confidence(verdict: Verdict, activation: Floats) -> float:
    """Expected F-measure of the song's beats, 0..1.

    Args:
        verdict: of the committee.
        activation: (n,) the network's activation at the song's beats.
    """
    if not len(activation):
        return 0.0
    return float(_lookup(TRACK_TABLE, (verdict.agreement + float(np.median(activation))) / 2))


def beat_confidence(beats: Seconds, verdict: Verdict, activation: Floats) -> Seconds:
    """(n,) probability that each beat is right, from the members that hear one there and the network."""
    if not len(beats):
        return np.empty(0)
    heard = [np.minimum(1.0, 1.2 * activation.astype(np.float64))]
    heard.extend(
        (np.abs(times[nearest(times, beats)] - beats) <= MATCH_WINDOW_S).astype(np.float64)
        for times in verdict.beats.values()
        if len(times)
    )
    return np.asarray(_lookup(BEAT_TABLE, np.mean(heard, axis=0)))


def _lookup(table: tuple[tuple[float, float], ...], evidence: float | Seconds) -> float | Seconds:
    points, values = zip(*table, strict=True)
    return np.interp(evidence, points, values)
