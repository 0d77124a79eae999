"""The rules of beats that a person sets. Every fault is named: what is wrong, where, and what to do."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from k1_contracts.graph import Violation

MIN_BEATS: Final = 2
MAX_BEATS: Final = 50_000
MIN_SPACING_MS: Final = 50.0
"""1,200 beats a minute: twice as fast as the fastest alternative of a map."""
MAX_NAMED: Final = 50
"""Faults of one kind that are named singly; the last entry counts the others."""


def check_beats(beats_ms: Sequence[float], downbeats: Sequence[int], duration_ms: float) -> list[Violation]:
    """Return every fault of the beats of a track; nothing if they can be used."""
    return [
        *_check_count(beats_ms),
        *_limited(_faults_of_beats(beats_ms, duration_ms), "beats"),
        *_limited(_faults_of_downbeats(downbeats, len(beats_ms)), "downbeats"),
    ]


def fault(rule: str, message: str, fix: str) -> Violation:
    """Return a fault of beats."""
    return Violation(rule=rule, severity="error", message=message, fix=fix)


def _check_count(beats_ms: Sequence[float]) -> Iterator[Violation]:
    count = len(beats_ms)
    if count < MIN_BEATS:
        yield fault("beats_count", f"There are {count} beats.", f"Give {MIN_BEATS} beats or more.")
    if count > MAX_BEATS:
        yield fault("beats_count", f"There are {count} beats.", f"Give {MAX_BEATS} beats at most.")


def _faults_of_beats(beats_ms: Sequence[float], duration_ms: float) -> Iterator[Violation]:
    for index, time in enumerate(beats_ms):
        if not math.isfinite(time):
            yield fault("beats_finite", f"Beat {index} is at {time}.", "Give a number.")
        elif not 0 <= time <= duration_ms:
            message = f"Beat {index} is at {time:g} ms, outside of the track."
            yield fault("beats_range", message, f"Keep the beats between 0 and {duration_ms:g} ms.")
    for index, (before, after) in enumerate(pairwise(beats_ms), start=1):
        if after <= before:
            message = f"Beat {index} ({after:g} ms) is not after the beat before it ({before:g} ms)."
            yield fault("beats_rising", message, "Sort the beats and remove doubles.")
        elif round(after - before, 3) < MIN_SPACING_MS:
            message = f"Beat {index} ({after:g} ms) is {after - before:.1f} ms after the beat before it."
            yield fault("beats_spacing", message, f"Leave {MIN_SPACING_MS:g} ms or more between beats.")


def _faults_of_downbeats(downbeats: Sequence[int], count: int) -> Iterator[Violation]:
    for index in downbeats:
        if not 0 <= index < count:
            message = f"Downbeat {index} is no beat: there are {count}."
            yield fault("downbeats_range", message, "Give indices of beats, of which the first is 0.")
    for before, after in pairwise(downbeats):
        if after <= before:
            message = f"Downbeat {after} stands after downbeat {before}."
            yield fault("downbeats_rising", message, "Sort the downbeats and remove doubles.")


def _limited(faults: Iterator[Violation], what: str) -> list[Violation]:
    """Return at most MAX_NAMED faults, and one more that counts the rest."""
    found = list(faults)
    if len(found) <= MAX_NAMED:
        return found
    rest = fault(
        f"{what}_more",
        f"{len(found) - MAX_NAMED} more faults of {what} are not listed.",
        "Correct these too.",
    )
    return [*found[:MAX_NAMED], rest]
