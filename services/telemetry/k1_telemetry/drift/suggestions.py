"""Suggests what to do where devices lose the beat: analyse again or edit the beats; pure.

A place suggests something only when most devices are off there and not elsewhere: a device that is off everywhere, or a
single one of many, has a problem of its own, which the map cannot cause.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from k1_contracts.messages.drift import OFF_MS, DriftSuggestion, SectionDrift
from k1_telemetry.drift.drift_figures import DriftSum
from k1_telemetry.drift.song_plan import SongPlan

MIN_READINGS: Final = 20
"""Two seconds of one device; less is no evidence."""
MOST_DEVICES: Final = 0.5
WHOLE_SONG: Final = 0.5
"""From this share of the sections on, the whole song is meant."""
LOW_CONFIDENCE: Final = 0.6
MAX_SUGGESTIONS: Final = 5

DeviceDrifts = Mapping[int, Mapping[str, DriftSum]]
"""The drift of each device in each section."""


def suggest(
    plan: SongPlan, sections: Sequence[SectionDrift], devices: DeviceDrifts, beats: Mapping[int, DriftSum]
) -> list[DriftSuggestion]:
    """Return at most five suggestions, the worst place first."""
    measured = [each for each in sections if each.figures and each.figures.readings >= MIN_READINGS]
    off = [each for each in measured if each.devices_off > each.devices * MOST_DEVICES]
    if len(measured) > 1 and len(off) >= len(measured) * WHOLE_SONG:
        return [_whole_song(plan, measured, off)]
    weak = [each for each in off if _is_local(each.index, devices)]
    weak.sort(key=lambda each: each.figures.mean_abs_ms if each.figures else 0.0, reverse=True)
    return [_one_section(plan, each, beats) for each in weak[:MAX_SUGGESTIONS]]


def _is_local(section: int, devices: DeviceDrifts) -> bool:
    """Return whether most devices that are off in a section are on the beat in most other sections."""
    off = [device_id for device_id, drift in devices[section].items() if drift.is_off]
    others = [found for index, found in devices.items() if index != section]
    off_elsewhere = sum(
        _is_mostly_off([found[device_id] for found in others if device_id in found]) for device_id in off
    )
    return 2 * off_elsewhere <= len(off)


def _is_mostly_off(sections: Sequence[DriftSum]) -> bool:
    return 2 * sum(drift.is_off for drift in sections) > len(sections)


def _whole_song(
    plan: SongPlan, measured: Sequence[SectionDrift], off: Sequence[SectionDrift]
) -> DriftSuggestion:
    devices = max(each.devices for each in measured)
    text = (
        f"In {len(off)} of {len(measured)} sections most devices are off the beat by more than {OFF_MS:.0f} ms "
        f"on average ({_devices(devices)})"
    )
    if plan.is_by_person:
        advice = "A person set these beats, so another analysis would not change them: check their tempo and their offset"
    else:
        confidence = _mean(plan.confidences or ())
        doubt = "" if confidence is None else f"; the mean confidence of its beats is {confidence:.2f}"
        advice = f"Analyse the song again, or choose another interpretation of the pulse{doubt}"
    return DriftSuggestion(
        action="beat_edit" if plan.is_by_person else "reanalysis",
        from_ms=0.0,
        to_ms=plan.duration_ms,
        reason=f"{text}. {advice}.",
    )


def _one_section(plan: SongPlan, section: SectionDrift, beats: Mapping[int, DriftSum]) -> DriftSuggestion:
    assert section.figures is not None
    inside = plan.beats_of(section.index)
    off = [beat for beat in inside if beat in beats and beats[beat].is_off] or inside
    first, last = (off[0], off[-1]) if off else (None, None)
    text = (
        f"{section.devices_off} of {_devices(section.devices)} are off the beat here in {_plays(section.plays)}, "
        f"by {section.figures.mean_abs_ms:.0f} ms on average (signed {section.figures.mean_ms:+.0f} ms); "
        "elsewhere they are not"
    )
    confidence = _mean([found for beat in off if (found := plan.confidence_of(beat)) is not None])
    return DriftSuggestion(
        action="beat_edit",
        section=section.index,
        from_ms=section.start_ms if first is None else plan.beats_ms[first],
        to_ms=_end_of(plan, section, last),
        first_beat=first,
        last_beat=last,
        reason=f"{text}. {_why(plan, confidence)}",
    )


def _why(plan: SongPlan, confidence: float | None) -> str:
    if plan.is_by_person:
        return "A person set these beats: check them here."
    if confidence is None:
        return "Check the beats here."
    if confidence < LOW_CONFIDENCE:
        return f"The analysis is not sure of these beats either (confidence {confidence:.2f}): edit them."
    return f"The analysis is sure of these beats (confidence {confidence:.2f}): listen to them before you edit them."


def _end_of(plan: SongPlan, section: SectionDrift, last: int | None) -> float:
    following = len(plan.beats_ms) if last is None else last + 1
    return (
        section.end_ms if following >= len(plan.beats_ms) else min(plan.beats_ms[following], section.end_ms)
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _devices(count: int) -> str:
    return f"{count} device" if count == 1 else f"{count} devices"


def _plays(count: int) -> str:
    return f"{count} play" if count == 1 else f"{count} plays"
