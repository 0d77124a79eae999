"""Runs the trackers on the tracks, in this process or in several, and scores what they find."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .dataset import AnnotatedTrack
from .engine import samples_of
from .scores import Estimate, Scores, score
from .trackers import Tracker, load_trackers


@dataclass(frozen=True)
class Row:
    """The result of one tracker on one track."""

    tracker: str
    name: str
    group: str
    seconds: float | None
    """Wall time of the tracker; None if songs ran in parallel, which makes it meaningless."""
    audio_seconds: float
    scores: Scores
    generated: bool = False
    failed: bool = False
    """The tracker raised; its scores are those of no beats."""


@dataclass(frozen=True)
class Selection:
    """The trackers to run: names, and weights files of networks to run alone."""

    names: tuple[str, ...]
    weights: tuple[Path, ...] = ()


def evaluate(tracks: Iterable[AnnotatedTrack], selection: Selection, jobs: int) -> Iterator[list[Row]]:
    """Yield the rows of each track. With more than one job, whole songs run in parallel and no time is measured."""
    if jobs > 1:
        with ProcessPoolExecutor(jobs) as pool:
            futures = [pool.submit(_untimed, track, selection) for track in tracks]
            yield from (future.result() for future in futures)
        return
    for number, track in enumerate(tracks):
        trackers = _loaded(selection)
        if number == 0:
            # Imports, compilation and cold caches are not measured.
            run(track, trackers)
        yield run(track, trackers)


def _untimed(track: AnnotatedTrack, selection: Selection) -> list[Row]:
    return run(track, _loaded(selection), timed=False)


@cache
def _loaded(selection: Selection) -> dict[str, Tracker]:
    return load_trackers(selection.names, selection.weights)


def run(track: AnnotatedTrack, trackers: dict[str, Tracker], *, timed: bool = True) -> list[Row]:
    """Run each tracker on one track.

    The other trackers get decoded samples; the engine's time includes decoding. A tracker that raises counts as failed,
    with no beats.
    """
    audio_seconds = len(samples_of(track.path)) / 44_100
    rows: list[Row] = []
    for name, tracker in trackers.items():
        started = time.perf_counter()
        estimate = _attempt(name, tracker, track)
        seconds = time.perf_counter() - started if timed else None
        scores = score(track, estimate or Estimate(np.empty(0), 0.0))
        rows.append(
            Row(
                name,
                track.name,
                track.group,
                seconds,
                audio_seconds,
                scores,
                track.generated,
                failed=estimate is None,
            )
        )
    return rows


def _attempt(name: str, tracker: Tracker, track: AnnotatedTrack) -> Estimate | None:
    try:
        return tracker(track.path)
    except Exception as error:  # noqa: BLE001  libraries raise anything; one song must not end the run
        print(f"{track.path.name}: {name} failed: {error}", file=sys.stderr)
        return None


def tracker_rows(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each tracker, in the order of the run."""
    names = dict.fromkeys(row.tracker for row in rows)
    return {name: [row for row in rows if row.tracker == name] for name in names}
