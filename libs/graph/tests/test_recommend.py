"""Templates fitted to songs: valid, within budget, safe, and explained."""

import numpy as np
import pytest

from k1_contracts.genesis import GenesisMap, IntensityPoint, SectionLabel
from k1_graph.errors import GraphError
from k1_graph.executor.rendering import render
from k1_graph.recommendation.recommender import recommend
from k1_graph.recommendation.templates import templates
from k1_graph.reports.estimate import estimate
from k1_graph.reports.photosensitivity import PhotosensitivityCheck
from k1_graph.song import sample_song
from k1_graph.testing import synthetic_map
from k1_graph.validation.validator import compile_graph, validate

PRESETS = ["edm", "rock", "orchestral", "jazz", "hiphop"]


def passes(genesis: GenesisMap, preset: str) -> bool:
    check = PhotosensitivityCheck()
    for pixels in render(compile_graph(recommend(genesis, preset).graph), sample_song(genesis)):
        check.feed(pixels)
    return check.result(lambda _frame, _red: None).passed


def with_metrics(genesis: GenesisMap, **changes: object) -> GenesisMap:
    metrics = genesis.global_metrics.model_copy(update=changes)
    return genesis.model_copy(update={"global_metrics": metrics})


def test_every_preset_has_one_template() -> None:
    """All five, and the alias."""
    names = [preset for template in templates() for preset in template.presets]
    assert sorted(names) == sorted([*PRESETS, "edm_high_energy"])
    assert recommend(synthetic_map(3_000.0), "edm_high_energy").template == "edm_bloom"


def test_an_unknown_preset_names_the_known_ones() -> None:
    """The error lists the known presets."""
    with pytest.raises(GraphError, match="orchestral"):
        recommend(synthetic_map(3_000.0), "polka")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("bpm", [55.0, 128.0, 240.0])
def test_recommendations_are_valid_cheap_and_safe(preset: str, bpm: float) -> None:
    """No error, under a quarter of the frame budget, the map in use, no flash failure, at any tempo."""
    genesis = synthetic_map(12_000.0, bpm=bpm)
    found = recommend(genesis, preset)
    assert validate(found.graph.model_dump(mode="json")).ok
    graph = compile_graph(found.graph)
    assert estimate(graph).est_ms < 2.0
    kinds = {node.spec.type for node in graph.nodes.values()}
    assert {"MapSection", "MapEnvelope"} <= kinds
    assert kinds & {"MapBeat", "MapDownbeat"}
    assert not any(node.spec.microphone for node in graph.nodes.values())
    assert passes(genesis, preset)


@pytest.mark.parametrize("preset", PRESETS)
def test_flickering_envelopes_are_held_back(preset: str) -> None:
    """A map whose envelopes jump between 0 and 1 five times a second still gives a safe show."""
    genesis = synthetic_map(10_000.0, bpm=170.0)
    flicker = [
        IntensityPoint(time_ms=t, intensity=float((t // 100) % 2)) for t in np.arange(0.0, 10_000.0, 50.0)
    ]
    frequency = genesis.layers.frequency.model_copy(
        update={"bass": flicker, "mids": flicker, "highs": flicker}
    )
    dynamics = genesis.layers.dynamics.model_copy(update={"rms": flicker})
    layers = genesis.layers.model_copy(update={"frequency": frequency, "dynamics": dynamics})
    assert passes(genesis.model_copy(update={"layers": layers}), preset)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_map_without_anything_still_gives_a_show(preset: str) -> None:
    """No beats, no sections, no envelopes: valid, and the reasons say what was missing."""
    body = synthetic_map(2_000.0).model_dump(mode="json")
    body["layers"]["rhythm"] = {"beat_grid_ms": [], "downbeat_ms": [], "beat_strength": [], "tempo_curve": []}
    body["layers"]["frequency"] = {"bass": [], "mids": [], "highs": []}
    body["layers"]["dynamics"]["rms"] = []
    body["layers"]["annotations"] = {"sections": [], "drops": [], "silence": []}
    found = recommend(GenesisMap.model_validate(body), preset)
    assert validate(found.graph.model_dump(mode="json")).ok
    assert any("0 sections" in reason.text for reason in found.reasons)


def test_reasons_have_times_and_are_in_the_document() -> None:
    """Each drop has a reason with its time, its node and the change."""
    genesis = synthetic_map(60_000.0, bpm=128.0)
    found = recommend(genesis, "edm")
    drops = [reason for reason in found.reasons if "strobe-free" in reason.text]
    assert [reason.time_ms for reason in drops] == genesis.layers.annotations.drops
    assert drops[0].text == "drop at 15.0 s: strobe-free bloom, decay from 0.92 to 0.81"
    assert drops[0].node == "trail_decay"
    node = next(node for node in found.graph.nodes if node.id == "trail_decay")
    assert (node.params["from"], node.params["to"]) == (0.918, 0.808)
    assert found.graph.meta is not None
    assert found.graph.meta["template_version"] == found.template_version
    assert len(found.graph.meta["reasons"]) == len(found.reasons)
    assert {reason.node for reason in found.reasons if reason.node} <= {node.id for node in found.graph.nodes}


def test_parameters_follow_the_song() -> None:
    """Tempo sets the pulse, loudness the gain, dynamic range the contrast, key the colours."""
    slow = {n.id: n.params for n in recommend(synthetic_map(20_000.0, bpm=100.0), "edm").graph.nodes}
    fast = {n.id: n for n in recommend(synthetic_map(20_000.0, bpm=178.0), "edm").graph.nodes}
    assert slow["pulse"]["decay_ms"] == 360.0
    assert fast["beat"].type == "MapDownbeat"
    flat = recommend(with_metrics(synthetic_map(20_000.0), dynamic_range=4.0), "edm")
    wide = recommend(with_metrics(synthetic_map(20_000.0), dynamic_range=14.0, scale="major"), "edm")
    shape = [{n.id: n.params for n in found.graph.nodes} for found in (flat, wide)]
    assert shape[0]["bass_shape"]["amount"] == 1.73
    assert shape[1]["bass_shape"]["amount"] == 1.07
    assert shape[0]["section_color"]["stops"] != shape[1]["section_color"]["stops"]


def test_confidence_is_the_weighted_trust_of_the_evidence() -> None:
    """It falls with the beats' F-measure where the show depends on beats, and with an unfitting tempo."""
    good = recommend(synthetic_map(20_000.0, bpm=128.0, f_measure=0.95), "edm")
    bad = recommend(synthetic_map(20_000.0, bpm=128.0, f_measure=0.35), "edm")
    total = sum(evidence.trust * evidence.weight for evidence in good.evidence)
    assert good.confidence == pytest.approx(total / sum(e.weight for e in good.evidence), abs=1e-3)
    assert good.confidence - bad.confidence > 0.15
    swells = [recommend(synthetic_map(20_000.0, f_measure=f), "orchestral").confidence for f in (0.95, 0.35)]
    assert swells[0] - swells[1] < 0.1
    assert recommend(synthetic_map(20_000.0, bpm=60.0), "edm").confidence < good.confidence


def test_beats_set_by_hand_are_trusted() -> None:
    """With an override the tracker's F-measure says nothing about the beats in use."""
    genesis = with_metrics(synthetic_map(20_000.0), f_measure=0.2, f_measure_reference="override")
    beats = next(e for e in recommend(genesis, "edm").evidence if e.source == "beats")
    assert beats.trust == 1.0


def test_many_sections_are_coloured_by_energy() -> None:
    """A palette has at most 16 colours; beyond that the energy chooses."""
    shape: list[tuple[SectionLabel, float, float]] = [("verse", 0.05, 0.5)] * 20
    found = recommend(synthetic_map(20_000.0, sections=shape), "rock")
    place = next(node for node in found.graph.nodes if node.id == "section_place")
    assert place.inputs["a"] == "section.energy"
