"""Finds where the tempo of a song changes: the anchors of a beat grid for DJ programs."""

from dataclasses import dataclass
from typing import Final

from k1_gateway.exports.song import Song

_TOLERANCE_MS: Final = 10.0
"""How far a beat may be from the grid of its anchor before a new anchor is set."""


@dataclass(frozen=True, slots=True)
class TempoChange:
    """From `time_ms`, a beat, on the beats follow each other at `bpm`."""

    time_ms: float
    bpm: float
    position: int
    """Of the beat in its bar, from 1."""
    beats_per_bar: int


def tempo_changes(song: Song) -> list[TempoChange]:
    """Return the fewest anchors, each as far from the one before as possible, whose grids hold every beat within 10 ms.

    A grid goes through its anchor; its tempo is that of the whole stretch up to the next anchor.
    """
    beats = song.rhythm.beat_grid_ms
    changes: list[TempoChange] = []
    start = 0
    while start < len(beats) - 1:
        end = _stretch_end(beats, start)
        bpm = 60_000 * (end - start) / (beats[end] - beats[start])
        changes.append(TempoChange(beats[start], bpm, song.positions[start], _bar_length(song, start)))
        start = end
    return changes


def _stretch_end(beats: list[float], start: int) -> int:
    """Return the last beat that one constant tempo from the beat `start` on reaches, with all beats between.

    The tempi that pass each beat within the tolerance form an interval; it shrinks with each beat.
    """
    low, high = 0.0, float("inf")
    reached = start + 1
    for index in range(start + 1, len(beats)):
        steps, elapsed = index - start, beats[index] - beats[start]
        period = elapsed / steps
        low = max(low, (elapsed - _TOLERANCE_MS) / steps)
        high = min(high, (elapsed + _TOLERANCE_MS) / steps)
        if low > high:
            break
        if low <= period <= high:
            reached = index
    return reached


def _bar_length(song: Song, index: int) -> int:
    """Return how many beats the bar of this beat has; of the last bar, those of the bar before."""
    positions = song.positions
    ends = [place - 1 for place in range(index + 1, len(positions)) if positions[place] == 1][:1]
    if ends:
        return max(positions[ends[0]], 1)
    return max(positions)
