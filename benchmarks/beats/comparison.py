"""Compares trackers song by song: the engine with its peers in one run, and one run with an earlier one."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import markdown_table

from .annotations import DatasetError
from .evaluation import Row, tracker_rows

_SEED, _RESAMPLES = 11, 10_000
CHANGE = 0.005
"""A difference in F up to this size counts as equal."""
_COMPARED = (("F", "f"), ("downbeat F", "downbeat_f"), ("CMLt", "cmlt"))

Song = tuple[str, str, str]
"""Tracker, group and name of the song."""


@dataclass(frozen=True)
class Paired:
    """The difference in F, engine minus peer, on the songs that both did."""

    peer: str
    songs: int
    difference: float
    low: float
    high: float
    better: int
    worse: int


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the bootstrap 95 % interval of the mean: percentiles of resampled songs, with a fixed seed."""
    sample = np.asarray(values, float)
    chosen = np.random.default_rng(_SEED).integers(len(sample), size=(_RESAMPLES, len(sample)))
    low, high = np.percentile(sample[chosen].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def paired(rows: Sequence[Row], engine: str) -> list[Paired]:
    """Compare the engine with each other tracker. A failed tracker did the song, with F 0."""
    by_tracker = tracker_rows(rows)
    ours = {(row.group, row.name): row.scores.f for row in by_tracker.get(engine, [])}
    return [
        _paired(peer, [ours[row.group, row.name] - row.scores.f for row in theirs])
        for peer, theirs in by_tracker.items()
        if peer != engine and all((row.group, row.name) in ours for row in theirs)
    ]


def _paired(peer: str, differences: Sequence[float]) -> Paired:
    return Paired(
        peer,
        len(differences),
        float(np.mean(differences)),
        *interval(differences),
        better=sum(d > CHANGE for d in differences),
        worse=sum(d < -CHANGE for d in differences),
    )


def load_songs(path: Path) -> dict[Song, dict[str, Any]]:
    """Read the songs of an earlier `results.json`.

    Raises:
        DatasetError: the file is not one.
    """
    try:
        songs = json.loads(path.read_text())["tracks"]
        return {(song["tracker"], song["group"], song["name"]): song for song in songs}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: is not a results.json of this benchmark: {error!r}") from error


def changes(old: dict[Song, dict[str, Any]], new: dict[Song, dict[str, Any]]) -> str:
    """Return what changed between two runs as Markdown: the groups' means, and each song whose scores changed."""
    both = [song for song in new if song in old]
    groups = list(dict.fromkeys((tracker, group) for tracker, group, _ in both))
    everything = [(tracker, None) for tracker in dict.fromkeys(tracker for tracker, _, _ in both)]
    group_lines = [
        [
            tracker,
            group or "all",
            str(len(songs)),
            *(_mean_change(old, new, songs, key) for _, key in _COMPARED),
        ]
        for tracker, group in (*groups, *everything)
        for songs in [[s for s in both if s[0] == tracker and group in (None, s[1])]]
    ]
    song_lines = [
        [*song, *(_change(old[song].get(key), new[song].get(key)) for _, key in _COMPARED)]
        for song in both
        if any(_differs(old[song].get(key), new[song].get(key)) for _, key in _COMPARED)
    ]
    titles = [title for title, _ in _COMPARED]
    parts = ["## Changes by group", markdown_table(["tracker", "group", "songs", *titles], group_lines)]
    parts += [f"## Songs that changed by more than {CHANGE}"]
    parts += [markdown_table(["tracker", "group", "song", *titles], song_lines) if song_lines else "None."]
    parts += [f"Only in the old run: {len(old) - len(both)}, only in the new run: {len(new) - len(both)}."]
    return "\n\n".join(parts) + "\n"


def _differs(old: float | None, new: float | None) -> bool:
    return (old is None) != (new is None) or abs((new or 0.0) - (old or 0.0)) > CHANGE


def _change(old: float | None, new: float | None) -> str:
    if old is None and new is None:
        return ""
    text = [("" if value is None else f"{value:.3f}") for value in (old, new)]
    return " → ".join(text) if _differs(old, new) else text[1]


def _mean_change(
    old: dict[Song, dict[str, Any]], new: dict[Song, dict[str, Any]], songs: Iterable[Song], key: str
) -> str:
    known = [
        new[song][key] - old[song][key]
        for song in songs
        if old[song].get(key) is not None and new[song].get(key) is not None
    ]
    return f"{np.mean(known):+.3f}" if known else ""
