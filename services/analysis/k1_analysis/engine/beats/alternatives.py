"""Other interpretations of the beats, each with a score.

They are half tempo, double tempo, the offbeats, another level that is as likely, one beat a bar, and the beats of each
tracker that found others.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.audio.levels import AudibleRange
from k1_analysis.engine.audio.times import nearest
from k1_analysis.engine.beats.agreement.scores import MATCH_WINDOW_S, f_measure
from k1_analysis.engine.beats.interpretations import FEWEST_BEATS, AlternativeKind, interpretations

MOST_ALTERNATIVES = 8
SAME_BEATS = 0.97
"""F-measure of two interpretations above which they are one."""
_IN_PHASE = 1 / 3
"""Share of the downbeats on beats of an interpretation from which these alone stay downbeats: all of them at half
tempo in four, every other one in three."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another interpretation of the same music."""

    kind: AlternativeKind
    beats: Seconds
    score: float = 0.0
    """Probability against the main interpretation and the other alternatives, 0..1."""
    downbeats: Seconds | None = None
    """Some of the beats; None where each beat is a bar."""
    source: str | None = None
    """The tracker whose beats these are; None for those derived from the main interpretation."""


def alternatives(
    beats: Seconds,
    downbeats: Seconds,
    audible: AudibleRange,
    *,
    odds: Callable[[Seconds], float],
    trackers: Mapping[str, Seconds],
    other_level: Seconds | None = None,
    one_beat_a_bar: bool = False,
) -> list[Alternative]:
    """Return the other interpretations, the best first, MOST_ALTERNATIVES at most.

    No two of them, nor one of them and the main one, have an F-measure above SAME_BEATS against each other. Those that
    are derived from the main one come before the trackers' where both are the same or there are too many.

    Args:
        beats: the main interpretation: rising times in seconds, continued through silences.
        downbeats: its downbeats.
        audible: when the song sounds; there are no beats in its silences.
        odds: returns the odds of beats against the main interpretation, 0 or more.
        trackers: the beats of each tracker, by its name.
        other_level: beats at another metrical level that is as likely.
        one_beat_a_bar: the bars may be felt as one beat each: a fast three, which sounds the same in 3/4 and in 6/8.
    """
    derived = [
        Alternative(kind, times, downbeats=_bars_of(times, downbeats))
        for kind, times in interpretations(beats)
    ]
    if other_level is not None:
        derived.append(Alternative("other", other_level, downbeats=_bars_of(other_level, downbeats)))
    if derived and one_beat_a_bar:
        derived.append(Alternative("other", downbeats))
    tracked = [
        Alternative("other", times, downbeats=_bars_of(times, downbeats), source=name)
        for name, times in trackers.items()
    ]
    first, then = (_weighed(group, audible, odds) for group in (derived, tracked))
    kept = list(_distinct(beats[audible.covers(beats)], [*first, *then]))[:MOST_ALTERNATIVES]
    total = 1 + sum(other.score for other in kept)
    probable = [replace(other, score=other.score / total) for other in kept]
    return sorted(probable, key=lambda other: -other.score)


def _weighed(
    group: Iterable[Alternative], audible: AudibleRange, odds: Callable[[Seconds], float]
) -> list[Alternative]:
    """Return the interpretations of some beats within the music, the best first; their odds are their scores."""
    within = [
        replace(
            other,
            beats=other.beats[audible.covers(other.beats)],
            downbeats=None if other.downbeats is None else other.downbeats[audible.covers(other.downbeats)],
        )
        for other in group
    ]
    weighed = [
        replace(other, score=odds(other.beats)) for other in within if len(other.beats) >= FEWEST_BEATS
    ]
    return sorted(weighed, key=lambda other: -other.score)


def _distinct(main: Seconds, ordered: Iterable[Alternative]) -> Iterator[Alternative]:
    """Yield the interpretations that differ from the main one and from each before them."""
    known = [main]
    for other in ordered:
        if all(f_measure(times, other.beats) <= SAME_BEATS for times in known):
            known.append(other.beats)
            yield other


def _bars_of(times: Seconds, downbeats: Seconds) -> Seconds:
    """Return the beats that begin the bars of an interpretation, given the downbeats of the main one.

    They are the beats on a downbeat; where there are hardly any, as on the offbeats, the next beat after each.
    """
    if not len(times) or not len(downbeats):
        return np.empty(0)
    closest = nearest(times, downbeats)
    on_beat = np.abs(times[closest] - downbeats) <= MATCH_WINDOW_S
    if on_beat.mean() >= _IN_PHASE:
        return times[np.unique(closest[on_beat])]
    following = np.searchsorted(times, downbeats)
    return times[np.unique(following[following < len(times)])]
