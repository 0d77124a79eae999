"""Knows the sections and the beats of one version of a song, and what plays at a position; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from k1_contracts.genesis import GenesisView, Section


@dataclass(frozen=True, slots=True)
class SongPlan:
    """Times in ms from the beginning of the song, rising; a section ends before its `end_ms`, a beat at the next one."""

    duration_ms: float
    sections: Sequence[Section]
    beats_ms: Sequence[float]
    confidences: Sequence[float] | None
    """One for each beat."""
    is_by_person: bool
    """Whether a person set the beats."""

    @classmethod
    def of(cls, genesis: GenesisView) -> Self:
        """Return the plan of a map with the layers `rhythm` and `annotations`."""
        rhythm, annotations = genesis.layers.rhythm, genesis.layers.annotations
        assert rhythm is not None
        assert annotations is not None
        return cls(
            duration_ms=genesis.global_metrics.duration_ms,
            sections=annotations.sections,
            beats_ms=rhythm.beat_grid_ms,
            confidences=rhythm.beat_confidence,
            is_by_person=genesis.metadata.beat_override is not None,
        )

    @property
    def section_edges_ms(self) -> list[float]:
        """Return where sections begin or end, rising: between two edges the section does not change."""
        return sorted({time for each in self.sections for time in (each.start_ms, each.end_ms)})

    def section_at(self, position_ms: float) -> int | None:
        """Return the index of the section that plays at a position, or None if there is none."""
        found = (
            index for index, each in enumerate(self.sections) if each.start_ms <= position_ms < each.end_ms
        )
        return next(found, None)

    def section_of_edge(self, edge: int) -> int | None:
        """Return the section after the edge with this index; the part before the first edge is -1."""
        return None if edge < 0 else self.section_at(self.section_edges_ms[edge])

    def confidence_of(self, beat: int) -> float | None:
        """Return the confidence of a beat, where the map has it."""
        return None if self.confidences is None else self.confidences[beat]

    def beats_of(self, section: int) -> list[int]:
        """Return the indices of the beats in a section."""
        span = self.sections[section]
        return [index for index, time in enumerate(self.beats_ms) if span.start_ms <= time < span.end_ms]
