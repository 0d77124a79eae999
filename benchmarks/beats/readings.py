"""Scores the other readings of a pulse (half, double, other phase) and classifies the errors of a tracker."""

from collections.abc import Iterable
from typing import Literal

import mir_eval
import numpy as np

from .annotations import Times

ErrorKind = Literal["phase", "half", "double", "other"]
ERROR_KINDS: tuple[ErrorKind, ...] = ("phase", "half", "double", "other")
GOOD_F = 0.8
"""F from which a song counts as right, or as explained by another reading."""
_WINDOW_S = 0.07
_TEMPO_TOLERANCE = 0.08


def f_measure(truth: Times, found: Times) -> float:
    """Return the F-measure at 70 ms without the first 5 s."""
    return float(mir_eval.beat.f_measure(mir_eval.beat.trim_beats(truth), mir_eval.beat.trim_beats(found)))


def halves(beats: Times) -> tuple[Times, Times]:
    """Return every other beat, in either phase."""
    return beats[::2], beats[1::2]


def midpoints(beats: Times) -> Times:
    """Return the times halfway between neighbouring beats."""
    return (beats[1:] + beats[:-1]) / 2


def doubled(beats: Times) -> Times:
    """Return the beats with their midpoints."""
    return np.sort(np.concatenate([beats, midpoints(beats)]))


def best_of(readings: Iterable[Times], found: Times) -> Times:
    """Return the reading with the highest F-measure; the first of equal ones."""
    return max(readings, key=lambda beats: f_measure(beats, found))


def f_any_level(truth: Times, found: Times) -> float:
    """Return the best F-measure against the true beats, every other one in either phase, or twice as many."""
    return max(f_measure(beats, found) for beats in (truth, *halves(truth), doubled(truth)))


def error_kind(truth: Times, found: Times) -> ErrorKind | None:
    """Return what is wrong with the beats of a song with an F-measure below GOOD_F; None if it is not below.

    The reading that explains the beats best decides: the midpoints (phase), half or double tempo. If none reaches
    GOOD_F, the tempo decides, provided that most beats lie on true beats or midpoints: so a phase that flips inside the
    song is a phase error too.
    """
    if f_measure(truth, found) >= GOOD_F:
        return None
    if len(found) < 2:
        return "other"
    scores: dict[ErrorKind, float] = {
        "phase": f_measure(midpoints(truth), found),
        "half": max(f_measure(beats, found) for beats in halves(truth)),
        "double": f_measure(doubled(truth), found),
    }
    best = max(scores, key=lambda kind: scores[kind])
    return best if scores[best] >= GOOD_F else _error_by_tempo(truth, found)


def _error_by_tempo(truth: Times, found: Times) -> ErrorKind:
    reading = doubled(truth)
    distance = np.abs(reading[:, np.newaxis] - found).min(axis=0)
    if np.mean(distance <= _WINDOW_S) < GOOD_F:
        return "other"
    factor = np.median(np.diff(truth)) / np.median(np.diff(found))
    kinds: dict[ErrorKind, float] = {"phase": 1.0, "half": 0.5, "double": 2.0}
    for kind, value in kinds.items():
        if abs(factor / value - 1) <= _TEMPO_TOLERANCE:
            return kind
    return "other"
