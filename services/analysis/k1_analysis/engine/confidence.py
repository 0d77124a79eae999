"""What the committee's agreement is worth, as a probability.

The one place that turns agreement into confidence; between the points of the tables the mapping is linear. They
are set on 73 generated songs with known beats, a little below what those gave because real music is harder;
`docs/benchmarks.md` shows how well they hold.
"""

import numpy as np

from k1_analysis.engine.agreement import MATCH_WINDOW_S, nearest
from k1_analysis.engine.committee import Verdict
from k1_analysis.engine.framing import Floats, Seconds

TRACK_TABLE = ((0.0, 0.55), (0.3, 0.7), (0.45, 0.85), (0.6, 0.91), (0.8, 0.95), (1.0, 0.97))
"""(mean information gain of the chosen member, expected F-measure)."""
BEAT_TABLE = ((0.0, 0.5), (0.3, 0.75), (0.5, 0.88), (0.8, 0.9), (1.0, 0.97))
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
