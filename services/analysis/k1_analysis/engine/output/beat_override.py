"""Makes the map with beats that a person set, from a map of an analysis and without the audio. Pure.

What depends on the beats is computed anew from the map's own curves: the rhythm, the chroma at the beats, the sections'
borders and confidences, tempo, metre and scores. Everything else is copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import pydantic_core
import rfc8785

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.audio.times import nearest
from k1_analysis.engine.beats.agreement.scores import Agreement, compare, f_measure
from k1_analysis.engine.beats.alternatives import MOST_ALTERNATIVES, SAME_BEATS
from k1_analysis.engine.beats.tempo import (
    distinct_tempi,
    main_tempo,
    steady_stretches,
    tempo,
    tempo_curve,
    tempo_stability,
)
from k1_analysis.engine.beats.tempo_grid import fit_grid
from k1_analysis.engine.output.analysis_report import several_tempi_warning
from k1_analysis.engine.output.genesis_map import (
    JsonObject,
    canonical_object,
    join_with_hash,
    map_hash,
    milliseconds,
)
from k1_contracts.beats.grid import BeatGrid

AUTOMATIC: Final = "automatic"
"""The source of the alternative that holds the beats of the analysis."""
_BEAT_WARNINGS: Final = frozenset(
    {"no_beats", "level_in_doubt", "phase_in_doubt", "low_agreement", "several_tempi"}
)
"""Warnings about beats that the analysis found; those of a person are not in doubt."""
_HIGHEST_BPM, _HIGHEST_LOCAL_BPM, _HIGHEST_ALTERNATIVE_BPM = 300.0, 400.0, 600.0
_SAME_PLACE_S: Final = 0.025
"""A beat this near to one of the analysis has the strength that was measured there."""
_FLUX_REACH: Final = 1
_STRENGTH_PERCENTILE: Final = 95
_COPIED_DEPTH: Final = 2
"""Members of layers are copied; those of points are not worth looking at."""
_COMPOUND: Final = ("6/8", 2)
"""A metre whose beats divide into three, and its number of beats: no beat grid tells it from 2/4."""


@dataclass(frozen=True, slots=True)
class OverriddenMap:
    """A map with beats that a person set."""

    genesis_json: bytes
    """Canonical JSON (RFC 8785)."""
    agreement: Agreement
    """The automatic beats against the person's."""
    metrics: JsonObject


@dataclass(frozen=True, slots=True)
class _Tempo:
    bpm: float
    constant: bool
    tempi: tuple[float, ...]
    stability: float
    curve: Seconds
    """(N, 2) time in seconds and local tempo, at beats."""


def override_beats(base: JsonObject, grid: BeatGrid) -> OverriddenMap:
    """Return the map with the beats of the grid.

    Args:
        base: the map of the analysis as parsed JSON, with the automatic beats.
        grid: at least two beats inside the song, after `check_beats`.
    """
    beats = np.array(grid.beats_ms) / 1000
    automatic = np.array(base["layers"]["rhythm"]["beat_grid_ms"], np.float64) / 1000
    agreement = compare(beats, automatic)
    found = _measure_tempo(beats, base["layers"]["annotations"]["silence"])
    layers = base["layers"]
    genesis = {
        **base,
        "metadata": _metadata(base, found, len(automatic)),
        "global_metrics": _global_metrics(base["global_metrics"], grid, found, agreement),
        "layers": {
            **layers,
            "rhythm": _rhythm(layers, grid, beats, automatic, found),
            "spectral": {**layers["spectral"], "chroma": _chroma(layers, beats, automatic)},
            "annotations": _annotations(layers["annotations"], grid),
        },
    }
    metrics = {
        "f_measure_reference": "override",
        **agreement.as_dict(),
        "beat_count": len(beats),
        "automatic_beat_count": len(automatic),
        "base_map_sha256": base["metadata"]["hashes"]["map_sha256"],
    }
    return OverriddenMap(_canonical_json(genesis, base), agreement, metrics)


def _canonical_json(genesis: JsonObject, base: JsonObject) -> bytes:
    """Return the map as canonical JSON with its hash, which takes a tenth of the time where parts are copied."""
    return join_with_hash(
        genesis["metadata"],
        _canonical_members(genesis, base if _serialises_canonically(base) else {}, depth=_COPIED_DEPTH),
    )


def _serialises_canonically(base: JsonObject) -> bool:
    """Return whether pydantic's serialiser gives the canonical form of a map, as the map's own hash proves.

    It differs from RFC 8785 in numbers that need an exponent, and in the order of members that are not sorted.
    """
    parts = {name: pydantic_core.to_json(value) for name, value in base.items() if name != "metadata"}
    return map_hash(base["metadata"], parts) == base["metadata"]["hashes"]["map_sha256"]


def _canonical_members(value: JsonObject, copied_from: JsonObject, *, depth: int) -> dict[str, bytes]:
    """Return the canonical forms of the members but `metadata`; `depth` is how deep copied ones are looked for."""
    parts: dict[str, bytes] = {}
    for name, member in value.items():
        before = copied_from.get(name)
        if name in copied_from and member is before:
            parts[name] = pydantic_core.to_json(member)
        elif depth and isinstance(member, dict) and isinstance(before, dict):
            inner = _canonical_members(
                cast("JsonObject", member), cast("JsonObject", before), depth=depth - 1
            )
            parts[name] = canonical_object(inner)
        elif name != "metadata":
            parts[name] = rfc8785.dumps(member)
    return parts


def _measure_tempo(beats: Seconds, silences: Sequence[JsonObject]) -> _Tempo:
    continued = _through_silences(beats, silences)
    grid = fit_grid(beats)
    constant = grid is not None and not grid.drifts(beats, np.ones(len(beats), np.bool_))
    stretches = [] if constant else steady_stretches(continued)
    curve = tempo_curve(continued)
    return _Tempo(
        bpm=60 / grid.period_s if grid and constant else main_tempo(stretches) or tempo(continued),
        constant=constant,
        tempi=distinct_tempi(stretches),
        stability=tempo_stability(continued),
        curve=curve[np.isin(curve[:, 0], beats)],
    )


def _through_silences(beats: Seconds, silences: Sequence[JsonObject]) -> Seconds:
    """Return the beats continued through silences, where the pulse goes on and no beat is written down."""
    pieces = [beats[:1]]
    usual = float(np.median(np.diff(beats)))
    for before, after in zip(beats[:-1].tolist(), beats[1:].tolist(), strict=True):
        is_silent = any(
            before * 1000 < silence["end_ms"] and silence["start_ms"] < after * 1000 for silence in silences
        )
        count = max(1, round((after - before) / usual)) if is_silent else 1
        pieces.append(np.linspace(before, after, count + 1)[1:])
    return np.concatenate(pieces)


def _metadata(base: JsonObject, found: _Tempo, automatic_beats: int) -> JsonObject:
    metadata = base["metadata"]
    kept = [warning for warning in metadata.get("warnings", []) if warning["code"] not in _BEAT_WARNINGS]
    if found.tempi:
        warning = several_tempi_warning(found.tempi, found.bpm)
        kept.append({"code": warning.code, "message": warning.message})
    return {
        **metadata,
        "warnings": kept,
        "beat_override": {
            "base_map_sha256": metadata["hashes"]["map_sha256"],
            "automatic_beats": automatic_beats,
        },
    }


def _global_metrics(metrics: JsonObject, grid: BeatGrid, found: _Tempo, agreement: Agreement) -> JsonObject:
    return {
        **metrics,
        "bpm": round(min(found.bpm, _HIGHEST_BPM), 2),
        "f_measure": round(agreement.f_measure, 4),
        "cemgil": round(agreement.cemgil, 4),
        "f_measure_reference": "override",
        "tempo_confidence": 1.0,
        "tempo_stability": round(found.stability, 4),
        "constant_tempo": found.constant,
        "time_signature": _time_signature(grid, metrics["time_signature"]),
        "confidence": 1.0,
    }


def _time_signature(grid: BeatGrid, automatic: str) -> str:
    count = grid.beats_per_bar
    return automatic if (automatic, count) == _COMPOUND else f"{count}/4"


def _rhythm(
    layers: JsonObject, grid: BeatGrid, beats: Seconds, automatic: Seconds, found: _Tempo
) -> JsonObject:
    others = _alternatives(layers["rhythm"], automatic)
    same = [other for other in others if _are_same(beats, other)]
    return {
        **layers["rhythm"],
        "beat_grid_ms": list(grid.beats_ms),
        "downbeat_ms": grid.downbeat_ms,
        "beat_strength": _strengths(layers, beats, automatic),
        "beat_confidence": [1.0] * len(beats),
        "tempo_curve": [
            {"time_ms": milliseconds(time), "bpm": round(min(bpm, _HIGHEST_LOCAL_BPM), 2)}
            for time, bpm in found.curve.tolist()
        ],
        "interpretation_score": max((other["score"] for other in same), default=None),
        "alternatives": [other for other in others if other not in same][:MOST_ALTERNATIVES],
    }


def _alternatives(rhythm: JsonObject, automatic: Seconds) -> list[JsonObject]:
    """Return the beats of the analysis and its other interpretations, with the scores that it gave them."""
    others = cast("list[JsonObject]", rhythm.get("alternatives") or [])
    if not len(automatic):
        return others
    chosen = {
        "kind": "other",
        "source": AUTOMATIC,
        "bpm": round(min(_HIGHEST_ALTERNATIVE_BPM, tempo(automatic)), 2),
        "score": rhythm.get("interpretation_score") or 0.0,
        "beat_grid_ms": rhythm["beat_grid_ms"],
        "downbeat_ms": rhythm["downbeat_ms"],
    }
    return [chosen, *others]


def _are_same(beats: Seconds, other: JsonObject) -> bool:
    return f_measure(beats, np.array(other["beat_grid_ms"], np.float64) / 1000) > SAME_BEATS


def _strengths(layers: JsonObject, beats: Seconds, automatic: Seconds) -> list[float]:
    """Return the measured strength of beats that the analysis had too, and the spectral flux at the others."""
    measured = np.array(layers["rhythm"]["beat_strength"], np.float64)
    strengths = _flux_at(layers["spectral"]["flux"], beats)
    if len(automatic):
        closest = nearest(automatic, beats)
        known = np.abs(automatic[closest] - beats) <= _SAME_PLACE_S
        strengths = np.where(known, measured[closest], strengths)
    return np.round(strengths.clip(0, 1), 3).tolist()


def _flux_at(curve: Sequence[JsonObject], beats: Seconds) -> Seconds:
    """Return the flux at each beat, where 1 is the level that five in a hundred beats exceed."""
    if not curve:
        return np.zeros(len(beats))
    times = np.array([point["time_ms"] for point in curve], np.float64) / 1000
    flux = np.array([point["value"] for point in curve], np.float64)
    window = (nearest(times, beats)[:, None] + np.arange(-_FLUX_REACH, _FLUX_REACH + 1)).clip(
        0, len(flux) - 1
    )
    highest = flux[window].max(axis=1)
    return np.asarray(highest / max(float(np.percentile(highest, _STRENGTH_PERCENTILE)), 1e-9))


def _chroma(layers: JsonObject, beats: Seconds, automatic: Seconds) -> list[list[float]]:
    """Return the chroma of each beat: the mean of the automatic beats' chroma over its time; zeros without any."""
    rows = np.array(layers["spectral"]["chroma"], np.float64)
    if not len(automatic):
        return np.zeros((len(rows), len(beats))).tolist()
    ends = np.append(beats[1:], beats[-1] + np.median(np.diff(beats)))
    sums = _integrals(rows, automatic)
    middle = nearest(automatic, beats)
    means = np.empty((len(rows), len(beats)))
    for row, (values, total) in enumerate(zip(rows, sums, strict=True)):
        covered = np.interp(ends, automatic, total) - np.interp(beats, automatic, total)
        spans = ends.clip(automatic[0], automatic[-1]) - beats.clip(automatic[0], automatic[-1])
        outside = spans <= 0
        means[row] = np.where(outside, values[middle], covered / np.where(outside, 1.0, spans))
    loudest = np.maximum(means.max(axis=0), 1e-9)
    return np.round((means / loudest).clip(0, 1), 3).tolist()


def _integrals(rows: Seconds, automatic: Seconds) -> Seconds:
    """Return (rows, beats): the integral over time of each row up to each automatic beat."""
    steps = rows[:, :-1] * np.diff(automatic)
    return np.concatenate([np.zeros((len(rows), 1)), np.cumsum(steps, axis=1)], axis=1)


def _annotations(annotations: JsonObject, grid: BeatGrid) -> JsonObject:
    sections = cast("list[JsonObject]", annotations["sections"])
    edges = _snapped([section["start_ms"] for section in sections[1:]], grid, sections)
    starts = [section["start_ms"] for section in sections[:1]] + edges
    ends = edges + [section["end_ms"] for section in sections[-1:]]
    beats = np.array(grid.beats_ms)
    moved = [
        {**section, "start_ms": start, "end_ms": end, "confidence": _confidence(beats, start, end)}
        for section, start, end in zip(sections, starts, ends, strict=True)
    ]
    drops = [
        section["start_ms"]
        for index, section in enumerate(moved)
        if section["label"] == "drop" and (index == 0 or moved[index - 1]["label"] != "drop")
    ]
    return {**annotations, "sections": moved, "drops": drops}


def _snapped(borders: list[float], grid: BeatGrid, sections: Sequence[JsonObject]) -> list[float]:
    """Return the borders between sections, each on the nearest downbeat if it is at most half a bar away.

    A border stays where it is if it would reach its neighbour.
    """
    downbeats = np.array(grid.downbeat_ms)
    if len(downbeats) < 2 or not borders:  # noqa: PLR2004  a bar has two ends
        return borders
    reach = float(np.median(np.diff(downbeats))) / 2
    snapped: list[float] = []
    before = float(sections[0]["start_ms"])
    following = [*borders[1:], float(sections[-1]["end_ms"])]
    for border, after in zip(borders, following, strict=True):
        closest = float(downbeats[np.abs(downbeats - border).argmin()])
        fits = abs(closest - border) <= reach and before < closest < after
        snapped.append(closest if fits else border)
        before = snapped[-1]
    return snapped


def _confidence(beats_ms: Seconds, start_ms: float, end_ms: float) -> float:
    """Return 1 for a section with beats, which a person set, and 0 for one without."""
    return float(np.any((beats_ms >= start_ms) & (beats_ms < end_ms)))
