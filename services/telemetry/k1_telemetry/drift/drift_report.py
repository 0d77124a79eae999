"""Makes the drift report of a song from its plan and the readings that were joined with it; pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from k1_contracts.messages.drift import BeatDrift, DriftFigures, DriftSuggestion, SectionDrift
from k1_telemetry.drift.cells import DriftCells, SectionCell, count_plays
from k1_telemetry.drift.drift_figures import DriftSum
from k1_telemetry.drift.song_plan import SongPlan
from k1_telemetry.drift.suggestions import suggest


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Where devices lose the beat."""

    devices: int
    plays: int
    figures: DriftFigures | None
    sections: list[SectionDrift]
    beats: list[BeatDrift]
    suggestions: list[DriftSuggestion]


def make_report(plan: SongPlan, cells: DriftCells) -> DriftReport:
    """Return the report of one version of a song."""
    by_section: dict[int | None, list[SectionCell]] = defaultdict(list)
    for cell in cells.sections:
        by_section[plan.section_of_edge(cell.edge)].append(cell)
    sections = [_section(plan, index, by_section.get(index, [])) for index in range(len(plan.sections))]
    devices = {index: by_device(found) for index, found in by_section.items() if index is not None}
    return DriftReport(
        devices=len({cell.device_id for cell in cells.sections}),
        plays=count_plays(cells.sections),
        figures=DriftSum.total(cell.drift for cell in cells.sections).figures(),
        sections=sections,
        beats=list(_beats(plan, cells.beats)),
        suggestions=suggest(plan, sections, devices, cells.beats),
    )


def by_device(cells: Sequence[SectionCell]) -> dict[str, DriftSum]:
    """Return the drift of each device."""
    found: dict[str, list[DriftSum]] = defaultdict(list)
    for cell in cells:
        found[cell.device_id].append(cell.drift)
    return {device_id: DriftSum.total(parts) for device_id, parts in found.items()}


def _section(plan: SongPlan, index: int, cells: Sequence[SectionCell]) -> SectionDrift:
    section, beats = plan.sections[index], plan.beats_of(index)
    confidences = [found for beat in beats if (found := plan.confidence_of(beat)) is not None]
    devices = by_device(cells)
    return SectionDrift(
        index=index,
        label=section.label,
        start_ms=section.start_ms,
        end_ms=section.end_ms,
        confidence=section.confidence,
        beats=len(beats),
        beat_confidence=round(sum(confidences) / len(confidences), 3) if confidences else None,
        devices=len(devices),
        devices_off=sum(drift.is_off for drift in devices.values()),
        plays=count_plays(cells),
        figures=DriftSum.total(devices.values()).figures(),
    )


def _beats(plan: SongPlan, found: Mapping[int, DriftSum]) -> Iterable[BeatDrift]:
    for index in sorted(found):
        figures = found[index].figures()
        if index >= 0 and figures is not None:
            time_ms = plan.beats_ms[index]
            yield BeatDrift(
                index=index,
                time_ms=time_ms,
                section=plan.section_at(time_ms),
                confidence=plan.confidence_of(index),
                figures=figures,
            )
