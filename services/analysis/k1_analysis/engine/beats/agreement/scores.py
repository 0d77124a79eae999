"""Scores the agreement of two beat sequences by the conventions of mir_eval.

Definitions: Davies, Degara and Plumbley, "Evaluation methods for musical audio beat tracking algorithms",
2009. Written with numpy alone because mir_eval imports scipy.stats, which costs a worker seconds and memory;
the tests compare these functions with mir_eval.
"""

from dataclasses import asdict, dataclass

import numpy as np

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.audio.times import nearest

MATCH_WINDOW_S = 0.07
SKIPPED_S = 5.0
"""Seconds at the start that are left out, because trackers and people need time to find the pulse."""
_CEMGIL_SIGMA_S = 0.04
_CONTINUITY_THRESHOLD = 0.175
_HISTOGRAM_BINS = 41


@dataclass(frozen=True, slots=True)
class Agreement:
    """Scores of an estimate against a reference, each 0..1."""

    f_measure: float
    cemgil: float
    cml_c: float
    cml_t: float
    aml_c: float
    aml_t: float
    information_gain: float

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


def compare(reference: Seconds, estimate: Seconds) -> Agreement:
    """Return every score, without the first SKIPPED_S unless that would leave nothing."""
    reference, estimate = skip_start(reference), skip_start(estimate)
    continuity = [_continuity(variation, estimate) for variation in _metrical_variations(reference)]
    longest, total = (max(scores) for scores in zip(*continuity, strict=True))
    return Agreement(
        f_measure=f_measure(reference, estimate),
        cemgil=cemgil(reference, estimate),
        cml_c=continuity[0][0],
        cml_t=continuity[0][1],
        aml_c=longest,
        aml_t=total,
        information_gain=information_gain(reference, estimate),
    )


def skip_start(beats: Seconds) -> Seconds:
    """Return the beats after SKIPPED_S, or all beats of a song that has fewer than two there."""
    later = beats[beats >= SKIPPED_S]
    return later if len(later) > 1 else beats


def f_measure(reference: Seconds, estimate: Seconds) -> float:
    """Return the harmonic mean of precision and recall, each beat matched at most once within MATCH_WINDOW_S."""
    if not len(reference) or not len(estimate):
        return 0.0
    return 2 * _matches(reference, estimate) / (len(reference) + len(estimate))


def cemgil(reference: Seconds, estimate: Seconds) -> float:
    """Return the mean of a Gaussian (sigma 40 ms) of each reference beat's distance to the nearest estimate."""
    if not len(reference) or not len(estimate):
        return 0.0
    distance = reference - estimate[nearest(estimate, reference)]
    score = np.exp(-(distance**2) / (2 * _CEMGIL_SIGMA_S**2)).sum()
    return min(1.0, float(score / (0.5 * (len(reference) + len(estimate)))))


def information_gain(first: Seconds, second: Seconds) -> float:
    """Return how far from uniform the timing errors are, in the worse direction; 1 for equal beats."""
    if min(len(first), len(second)) < 2:  # noqa: PLR2004  an interval needs two beats
        return 0.0
    entropy = max(_error_entropy(first, second), _error_entropy(second, first))
    return float(1 - entropy / np.log2(_HISTOGRAM_BINS))


def _matches(reference: Seconds, estimate: Seconds) -> int:
    """Return the number of pairs within the window. Walking both in order finds as many as any assignment."""
    count = i = j = 0
    while i < len(reference) and j < len(estimate):
        difference = estimate[j] - reference[i]
        if abs(difference) <= MATCH_WINDOW_S:
            count, i, j = count + 1, i + 1, j + 1
        elif difference < 0:
            j += 1
        else:
            i += 1
    return count


def _error_entropy(reference: Seconds, estimate: Seconds) -> float:
    """Return the entropy in bits of each estimated beat's error as a share of the reference interval it falls into."""
    closest = nearest(reference, estimate)
    error = estimate - reference[closest]
    intervals = np.diff(reference)
    interval = intervals[np.where(error < 0, closest - 1, closest).clip(0, len(intervals) - 1)]
    wrapped = (error / interval + 0.5) % 1 - 0.5
    counts = np.histogram(wrapped, np.linspace(-0.5, 0.5, _HISTOGRAM_BINS + 1))[0]
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def _continuity(reference: Seconds, estimate: Seconds) -> tuple[float, float]:
    """Return the shares of the beats in the longest correct run and in all: phase and period within 17.5 %."""
    if min(len(reference), len(estimate)) < 2:  # noqa: PLR2004  an interval needs two beats
        return 0.0, 0.0
    closest = nearest(reference, estimate)
    reference_interval = _intervals_before(reference)[closest]
    phase = np.abs(estimate - reference[closest]) / reference_interval
    period = np.abs(1 - _intervals_before(estimate) / reference_interval)
    correct = (phase < _CONTINUITY_THRESHOLD) & (period < _CONTINUITY_THRESHOLD)
    failures = np.flatnonzero(~np.concatenate([[False], correct, [False]]))
    longest = int(np.diff(failures).max()) - 1
    beats = max(len(reference), len(estimate))
    return longest / beats, int(correct.sum()) / beats


def _intervals_before(beats: Seconds) -> Seconds:
    intervals = np.diff(beats)
    return np.concatenate([intervals[:1], intervals])


def _metrical_variations(beats: Seconds) -> tuple[Seconds, ...]:
    """Return the beats, the offbeats, double tempo, and half tempo on the odd and even beats."""
    double = (
        np.interp(np.arange(0, len(beats) - 0.5, 0.5), np.arange(len(beats)), beats) if len(beats) else beats
    )
    return beats, double[1::2], double, beats[::2], beats[1::2]
