"""Chooses the graph for a song: the preset's template, fitted, checked for flashes and explained."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import Evidence, GraphDocument, GraphRecommendation, Photosensitivity, Reason
from k1_graph.executor.run import render
from k1_graph.fit import CALMEST, Fitted, fit, tempo
from k1_graph.graph import Graph
from k1_graph.photosensitivity import PhotosensitivityCheck
from k1_graph.song import Song, sample_song
from k1_graph.templates import Template, template_for
from k1_graph.validator import compile_graph

CONFIDENCE_MEANING = (
    "How far the map's data behind this show can be trusted: the mean trust of beats, downbeats, sections, envelopes and "
    "preset, each weighted by how much of the show hangs on it. 1 is certain; it says nothing about taste."
)
_PRESET_WEIGHT = 0.1
_NO_SECTIONS_TRUST = 0.2


def recommend(genesis: GenesisMap, preset: str) -> GraphRecommendation:
    """The graph for a song. Its reasons also stand in the document's meta, with template and confidence.

    A fit that would break the flash limits over this song is held back, in two steps, and the reasons say so. Raises
    GraphError for an unknown preset and MapUnusableError for a map longer than six hours.
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
    """The liveliest fit that stays below the flash limits, or else the calmest one, and the reasons."""
    song = sample_song(genesis)
    held: list[Reason] = []
    for calm in range(CALMEST):
        fitted = fit(template.style, genesis, calm)
        document = _instantiate(template, fitted)
        check = _check(compile_graph(document), song)
        if check.passed:
            return document, [*held, *_reasons(template, fitted)]
        held.append(_held_back(check))
    fitted = fit(template.style, genesis, CALMEST)
    return _instantiate(template, fitted), [*held, *_reasons(template, fitted)]


def _instantiate(template: Template, fitted: Mapping[str, Fitted]) -> GraphDocument:
    nodes = [_filled(node, fitted) for node in template.nodes]
    return GraphDocument.model_validate({"name": template.name, "nodes": nodes})


def _filled(value: Any, fitted: Mapping[str, Fitted]) -> Any:
    if isinstance(value, str):
        return fitted[value[1:]].value if value.startswith("$") else value
    if isinstance(value, Mapping):
        return {key: _filled(item, fitted) for key, item in value.items()}
    return value


def _reasons(template: Template, fitted: Mapping[str, Fitted]) -> list[Reason]:
    """The reasons of every value used, with the first node that uses it; those of the whole song first."""
    users: dict[str, str] = {}
    for node in template.nodes:
        for name in _names(node):
            users.setdefault(name, node["id"])
    reasons = [
        reason.model_copy(update={"node": node})
        for name, node in users.items()
        for reason in fitted[name].reasons
    ]
    return sorted(reasons, key=lambda reason: -1.0 if reason.time_ms is None else reason.time_ms)


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value[1:]] if value.startswith("$") else []
    return [name for item in value.values() for name in _names(item)] if isinstance(value, Mapping) else []


def _check(graph: Graph, song: Song) -> Photosensitivity:
    check = PhotosensitivityCheck()
    for pixels in render(graph, song):
        check.feed(pixels)
    return check.result(lambda _frame, _red: None)


def _held_back(check: Photosensitivity) -> Reason:
    worst = check.red if check.general.passed else check.general
    at = worst.at_ms or 0.0
    return Reason(
        text=f"held back: at {at / 1000.0:.1f} s it would flash {worst.max_flashes_per_second:g} times in a second",
        time_ms=at,
    )


def _evidence(template: Template, genesis: GenesisMap) -> list[Evidence]:
    metrics = genesis.global_metrics
    by_hand = metrics.f_measure_reference == "override"
    measured = metrics.f_measure if metrics.confidence is None else metrics.confidence
    beats = 1.0 if by_hand else measured
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
    """1 inside the tempo range that the template expects, falling to 0 an octave outside it."""
    low, high = template.expected_bpm
    bpm = tempo(genesis)
    octaves = np.log2(max(low / bpm, bpm / high, 1.0))
    return max(0.0, 1.0 - float(octaves))
