"""Recommends a graph for a song: fits the template of the preset, checks for flashes and gives the reasons."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import Evidence, GraphDocument, GraphRecommendation, Photosensitivity, Reason
from k1_graph.executor.rendering import render
from k1_graph.graph import Graph
from k1_graph.recommendation.fitting import MAX_CALM_LEVEL, FittedValue, fit, median_bpm
from k1_graph.recommendation.templates import Template, template_for
from k1_graph.reports.photosensitivity import PhotosensitivityCheck
from k1_graph.song import SampledSong, sample_song
from k1_graph.validation.validator import compile_graph

CONFIDENCE_MEANING = (
    "How far the map's data behind this show can be trusted: the mean trust of beats, downbeats, sections, envelopes and "
    "preset, each weighted by how much of the show hangs on it. 1 is certain; it says nothing about taste."
)
_PRESET_WEIGHT = 0.1
_NO_SECTIONS_TRUST = 0.2


def recommend(genesis: GenesisMap, preset: str) -> GraphRecommendation:
    """Return the graph for a song. The document's meta contains the reasons, template and confidence too.

    A fit that would exceed the flash limits is calmed in up to two steps, and the reasons say so. Raises GraphError for an unknown preset and MapUnusableError for a map longer than six hours.
    """
    template = template_for(preset)
    document, reasons = _fit_safely(template, genesis)
    evidence = _evidence(template, genesis)
    confidence = round(sum(e.trust * e.weight for e in evidence) / sum(e.weight for e in evidence), 3)
    meta = {
        "template": template.name,
        "template_version": template.version,
        "preset": preset,
        "confidence": confidence,
        "reasons": [reason.model_dump(exclude_none=True) for reason in reasons],
    }
    return GraphRecommendation(
        graph=document.model_copy(update={"meta": meta}),
        preset=preset,
        template=template.name,
        template_version=template.version,
        confidence=confidence,
        confidence_meaning=CONFIDENCE_MEANING,
        evidence=evidence,
        reasons=reasons,
    )


def _fit_safely(template: Template, genesis: GenesisMap) -> tuple[GraphDocument, list[Reason]]:
    """Return the liveliest fit below the flash limits, or else the calmest one, with the reasons."""
    song = sample_song(genesis)
    calming_reasons: list[Reason] = []
    for calm_level in range(MAX_CALM_LEVEL):
        fitted = fit(template.style, genesis, calm_level)
        document = _instantiate(template, fitted)
        check = _check_flashes(compile_graph(document), song)
        if check.passed:
            return document, [*calming_reasons, *_reasons(template, fitted)]
        calming_reasons.append(_calming_reason(check))
    fitted = fit(template.style, genesis, MAX_CALM_LEVEL)
    return _instantiate(template, fitted), [*calming_reasons, *_reasons(template, fitted)]


def _instantiate(template: Template, fitted: Mapping[str, FittedValue]) -> GraphDocument:
    nodes = [_fill_in(node, fitted) for node in template.nodes]
    return GraphDocument.model_validate({"name": template.name, "nodes": nodes})


def _fill_in(value: Any, fitted: Mapping[str, FittedValue]) -> Any:
    if isinstance(value, str):
        return fitted[value[1:]].value if value.startswith("$") else value
    if isinstance(value, Mapping):
        return {key: _fill_in(item, fitted) for key, item in value.items()}
    return value


def _reasons(template: Template, fitted: Mapping[str, FittedValue]) -> list[Reason]:
    """Return the reasons of all used values, each with the first node that uses it; reasons without a time come first."""
    users: dict[str, str] = {}
    for node in template.nodes:
        for name in _used_names(node):
            users.setdefault(name, node["id"])
    reasons = [
        reason.model_copy(update={"node": node})
        for name, node in users.items()
        for reason in fitted[name].reasons
    ]
    return sorted(reasons, key=lambda reason: -1.0 if reason.time_ms is None else reason.time_ms)


def _used_names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value[1:]] if value.startswith("$") else []
    return (
        [name for item in value.values() for name in _used_names(item)] if isinstance(value, Mapping) else []
    )


def _check_flashes(graph: Graph, song: SampledSong) -> Photosensitivity:
    check = PhotosensitivityCheck()
    for pixels in render(graph, song):
        check.feed(pixels)
    return check.result(lambda _frame, _red: None)


def _calming_reason(check: Photosensitivity) -> Reason:
    worst = check.red if check.general.passed else check.general
    at_ms = worst.at_ms or 0.0
    return Reason(
        text=f"held back: at {at_ms / 1000.0:.1f} s it would flash {worst.max_flashes_per_second:g} times in a second",
        time_ms=at_ms,
    )


def _evidence(template: Template, genesis: GenesisMap) -> list[Evidence]:
    metrics = genesis.global_metrics
    corrected_by_person = metrics.f_measure_reference == "override"
    measured = metrics.f_measure if metrics.confidence is None else metrics.confidence
    beats = 1.0 if corrected_by_person else measured
    trust = {
        "beats": beats,
        "downbeats": beats * metrics.tempo_stability,
        "sections": _section_trust(genesis),
        "envelopes": 1.0,
        "preset": _preset_trust(template, genesis),
    }
    weights = {**template.weights, "preset": _PRESET_WEIGHT}
    return [
        Evidence(source=name, trust=round(trust[name], 3), weight=weight) for name, weight in weights.items()
    ]


def _section_trust(genesis: GenesisMap) -> float:
    sections = genesis.layers.annotations.sections
    if not sections:
        return _NO_SECTIONS_TRUST
    lengths = [max(section.end_ms - section.start_ms, 1.0) for section in sections]
    return float(np.average([section.confidence for section in sections], weights=lengths))


def _preset_trust(template: Template, genesis: GenesisMap) -> float:
    """Return 1 inside the median_bpm range of the template, falling to 0 one octave outside it."""
    low, high = template.expected_bpm
    bpm = median_bpm(genesis)
    octaves = np.log2(max(low / bpm, bpm / high, 1.0))
    return max(0.0, 1.0 - float(octaves))
