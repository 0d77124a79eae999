"""What the committee's agreement is worth, as a probability.

The one place that turns agreement into confidence. The tables are fitted on songs with known beats
(`docs/benchmarks.md` shows the reliability plot); between their points the mapping is linear.
"""

import numpy as np

from k1_analysis.engine.agreement import MATCH_WINDOW_S, nearest
from k1_analysis.engine.committee import Verdict
from k1_analysis.engine.framing import Floats, Seconds

TRACK_TABLE = ((0.0, 0.45), (0.3, 0.6), (0.5, 0.8), (0.7, 0.92), (1.0, 0.98))
"""(mean information gain of the chosen member, expected F-measure)."""
BEAT_TABLE = ((0.0, 0.3), (0.5, 0.7), (1.0, 0.97))
"""(share of the committee's weight with a beat here, probability that the beat is right)."""


def track_confidence(verdict: Verdict) -> float:
    """Expected F-measure of the song's beats, 0..1."""
    return 0.0 if verdict.chosen is None else _lookup(TRACK_TABLE, verdict.agreement)


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
    points, values = zip(*BEAT_TABLE, strict=True)
    return np.interp(np.mean(heard, axis=0), points, values)


def _lookup(table: tuple[tuple[float, float], ...], value: float) -> float:
    points, values = zip(*table, strict=True)
    return float(np.interp(value, points, values))
