"""Compares the maps of two versions: figures and beats. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k1_catalogue.maps.beat_diff import TOLERANCE_MS, diff_beats
from k1_contracts.messages.catalogue.track_history import MetricDelta, MovedBeat, TimedBeatChanges


@dataclass(frozen=True, slots=True)
class MapFigures:
    """What two maps are compared by."""

    metrics: Mapping[str, Any]
    """`global_metrics` of the map."""
    beats_ms: Sequence[float]
    downbeats_ms: Sequence[float]


def compare_metrics(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[MetricDelta]:
    """Return the figures that differ, by name; values that are neither number nor text are left out."""
    names = sorted({*before, *after})
    return [
        MetricDelta(name=name, before=old, after=new, delta=_delta(old, new))
        for name, old, new in ((name, _plain(before.get(name)), _plain(after.get(name))) for name in names)
        if old != new
    ]


def compare_beats(before: Sequence[float], after: Sequence[float]) -> TimedBeatChanges:
    """Return which beats moved, which are new and which are gone; times in ms."""
    diff = diff_beats(before, after)
    return TimedBeatChanges(
        tolerance_ms=TOLERANCE_MS,
        unchanged=len(before) - len(diff.removed) - len(diff.moved),
        moved=[
            MovedBeat(before_ms=before[old], after_ms=after[new], delta_ms=round(shift, 3))
            for old, new, shift in diff.moved
        ],
        added=[after[index] for index in diff.added],
        removed=[before[index] for index in diff.removed],
    )


def _plain(value: object) -> float | str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return value


def _delta(before: float | str | None, after: float | str | None) -> float | None:
    if isinstance(before, str) or isinstance(after, str) or before is None or after is None:
        return None
    return round(after - before, 9)
