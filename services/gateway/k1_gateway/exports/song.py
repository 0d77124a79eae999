"""Holds what an export is made of, and the positions of its beats in their bars."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from k1_contracts.genesis import Annotations, GenesisView, GlobalMetrics, Rhythm, Section


@dataclass(frozen=True)
class Song:
    """A song and the layers `rhythm` and `annotations` of its map."""

    title: str
    artist: str
    file_name: str
    """Of the uploaded audio."""
    document: bytes
    """The map as JSON: whole, or these two layers."""
    genesis: GenesisView

    @property
    def metrics(self) -> GlobalMetrics:
        """Return the figures of the whole song."""
        return self.genesis.global_metrics

    @property
    def rhythm(self) -> Rhythm:
        """Return the beats."""
        assert self.genesis.layers.rhythm is not None
        return self.genesis.layers.rhythm

    @property
    def sections(self) -> list[Section]:
        """Return the sections in their order."""
        return self.annotations.sections

    @property
    def annotations(self) -> Annotations:
        """Return sections, drops and silences."""
        assert self.genesis.layers.annotations is not None
        return self.genesis.layers.annotations

    @cached_property
    def positions(self) -> list[int]:
        """Return each beat's position in its bar, from 1; beats before the first downbeat count down to it."""
        return bar_positions(self.rhythm.beat_grid_ms, self.rhythm.downbeat_ms)

    def section_at(self, time_ms: float) -> Section | None:
        """Return the section that holds this time."""
        index = bisect_right([section.start_ms for section in self.sections], time_ms) - 1
        return self.sections[index] if index >= 0 and time_ms < self.sections[index].end_ms else None


def bar_positions(beats_ms: Sequence[float], downbeats_ms: Sequence[float]) -> list[int]:
    """Return the position of each beat in its bar, from 1.

    The beats before the first downbeat are the end of a bar of the same length as the first whole one. Without any
    downbeat every beat is a bar of its own.
    """
    downbeats = set(downbeats_ms)
    starts = [index for index, beat in enumerate(beats_ms) if beat in downbeats]
    if not starts:
        return [1] * len(beats_ms)
    length = starts[1] - starts[0] if len(starts) > 1 else max(starts[0], len(beats_ms) - starts[0])
    positions = [(index - starts[0]) % length + 1 for index in range(starts[0])]
    for index in range(starts[0], len(beats_ms)):
        positions.append(1 if beats_ms[index] in downbeats else positions[-1] + 1)
    return positions
