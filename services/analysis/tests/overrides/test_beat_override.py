"""The map with beats of a person: what is computed anew, what is copied, and the scores against mir_eval."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_analysis.engine.output.beat_override import override_beats
from k1_analysis.engine.output.genesis_map import with_map_hash
from k1_contracts.beats.grid import BeatGrid
from k1_contracts.genesis import GenesisMap
from k1_graph.testing import synthetic_map

SONG = synthetic_map(40_000.0, bpm=120.0)
BEATS = SONG.layers.rhythm.beat_grid_ms


def base(**rhythm: Any) -> dict[str, Any]:
    found = json.loads(SONG.model_dump_json())
    found["layers"]["rhythm"] |= rhythm
    return found


def applied(grid: BeatGrid, of: dict[str, Any] | None = None) -> GenesisMap:
    return GenesisMap.model_validate_json(override_beats(of or base(), grid).genesis_json)


@st.composite
def grids(draw: st.DrawFn) -> BeatGrid:
    gaps = draw(st.lists(st.integers(500, 30_000), min_size=1, max_size=80))
    times = np.cumsum([draw(st.integers(0, 400_000)), *gaps]) / 10
    inside = times[times <= 40_000]
    times = inside if len(inside) > 1 else np.array([0.0, 40_000.0])
    bar = draw(st.integers(1, 9))
    return BeatGrid.of(times.tolist(), range(draw(st.integers(0, 3)), len(times), bar))


@given(grids())
@settings(max_examples=settings().max_examples // 2)
def test_any_beats_give_a_valid_map_that_keeps_the_rest(grid: BeatGrid) -> None:
    before = base()
    made = override_beats(before, grid)
    found = GenesisMap.model_validate_json(made.genesis_json)
    rhythm, sections = found.layers.rhythm, found.layers.annotations.sections
    assert rhythm.beat_grid_ms == list(grid.beats_ms)
    assert rhythm.downbeat_ms == grid.downbeat_ms
    assert {len(row) for row in found.layers.spectral.chroma} == {len(grid.beats_ms)}
    assert [section.label for section in sections] == [s.label for s in SONG.layers.annotations.sections]
    edges = [sections[0].start_ms, *(section.end_ms for section in sections)]
    assert edges == sorted(set(edges))
    assert edges[1:-1] == [section.start_ms for section in sections[1:]]
    document = json.loads(made.genesis_json)
    for layer, member in (("frequency", None), ("dynamics", None), ("spectral", "flux")):
        new, old = document["layers"][layer], before["layers"][layer]
        assert (new[member] if member else new) == (old[member] if member else old)
    assert before == base()


@given(grids())
@settings(max_examples=settings().max_examples // 2)
def test_the_scores_are_those_of_mir_eval(grid: BeatGrid) -> None:
    """The automatic beats against those of the person, without the first five seconds."""
    import mir_eval.beat  # it takes seconds, which every worker of the suite would spend

    metrics = applied(grid).global_metrics
    human = mir_eval.beat.trim_beats(np.array(grid.beats_ms) / 1000)
    automatic = mir_eval.beat.trim_beats(np.array(BEATS) / 1000)
    assert metrics.f_measure_reference == "override"
    if len(human) < 2:  # nothing would be left to compare: the whole song counts
        return
    assert metrics.f_measure == pytest.approx(mir_eval.beat.f_measure(human, automatic), abs=1e-4)
    assert metrics.cemgil == pytest.approx(min(1.0, mir_eval.beat.cemgil(human, automatic)[0]), abs=1e-4)


def test_the_same_beats_change_no_figure_and_move_no_border() -> None:
    """Sections whose borders are downbeats stay; strengths and chroma are those of the analysis."""
    of = base()
    of["layers"]["annotations"]["sections"] = [
        {"start_ms": 0.0, "end_ms": BEATS[16], "label": "intro", "confidence": 0.5, "energy": 0.1},
        {"start_ms": BEATS[16], "end_ms": 40_000.0, "label": "drop", "confidence": 0.5, "energy": 0.9},
    ]
    found = applied(BeatGrid.of(BEATS, range(0, len(BEATS), 4)), of)
    assert (found.global_metrics.f_measure, found.global_metrics.cemgil) == (1.0, 1.0)
    assert (found.global_metrics.bpm, found.global_metrics.time_signature) == (120.0, "4/4")
    assert found.layers.rhythm.beat_strength == SONG.layers.rhythm.beat_strength
    assert found.layers.annotations.drops == [BEATS[16]]
    assert found.layers.rhythm.alternatives == []
    old = np.array(SONG.layers.spectral.chroma)[:, :-1]
    new = np.array(found.layers.spectral.chroma)[:, :-1]
    assert np.allclose(new, old / old.max(axis=0), atol=2e-3)


def test_half_tempo_halves_the_tempo_and_keeps_the_automatic_beats_as_an_alternative() -> None:
    found = applied(BeatGrid.of(BEATS[::2], range(0, len(BEATS[::2]), 3)), base(interpretation_score=0.7))
    assert (found.global_metrics.bpm, found.global_metrics.time_signature) == (60.0, "3/4")
    assert found.global_metrics.f_measure == pytest.approx(2 / 3, abs=0.02)
    [automatic] = found.layers.rhythm.alternatives or []
    assert (automatic.source, automatic.score, automatic.beat_grid_ms) == ("automatic", 0.7, BEATS)
    assert found.layers.rhythm.interpretation_score is None


def test_an_alternative_that_is_taken_gives_its_score() -> None:
    """It is no alternative any more."""
    half = {"kind": "half", "bpm": 60.0, "score": 0.2, "beat_grid_ms": BEATS[::2], "downbeat_ms": BEATS[::4]}
    found = applied(BeatGrid.of(BEATS[::2], ()), base(alternatives=[half], interpretation_score=0.8))
    assert found.layers.rhythm.interpretation_score == 0.2
    assert [each.source for each in found.layers.rhythm.alternatives or []] == ["automatic"]


def test_a_border_moves_to_the_downbeat_within_half_a_bar() -> None:
    of = base()
    of["layers"]["annotations"]["sections"] = [
        {"start_ms": 0.0, "end_ms": 8_000.0, "label": "intro", "confidence": 0.5, "energy": 0.1},
        {"start_ms": 8_000.0, "end_ms": 8_100.0, "label": "build", "confidence": 0.5, "energy": 0.1},
        {"start_ms": 8_100.0, "end_ms": 40_000.0, "label": "drop", "confidence": 0.5, "energy": 0.9},
    ]
    found = applied(BeatGrid.of(np.arange(300.0, 40_000.0, 500.0).tolist(), range(0, 80, 4)), of)
    starts = [section.start_ms for section in found.layers.annotations.sections]
    assert starts == [0.0, 8_000.0, 8_300.0]
    assert found.layers.annotations.drops == [8_300.0]


def test_warnings_about_the_automatic_beats_are_gone() -> None:
    of = base()
    of["metadata"]["warnings"] = [
        {"code": "low_agreement", "message": "x"},
        {"code": "damaged", "message": "y"},
    ]
    found = applied(BeatGrid.of(BEATS, ()), of)
    assert [warning.code for warning in found.metadata.warnings] == ["damaged"]
    assert found.metadata.beat_override is not None
    assert found.metadata.beat_override.base_map_sha256 == of["metadata"]["hashes"]["map_sha256"]


def test_a_song_without_beats_gets_beats() -> None:
    """Nothing was measured at beats then: the chroma is zero."""
    of = base(beat_grid_ms=[], downbeat_ms=[], beat_strength=[], tempo_curve=[])
    of["layers"]["spectral"]["chroma"] = [[] for _ in range(12)]
    found = applied(BeatGrid.of(BEATS, range(0, len(BEATS), 4)), of)
    assert (found.global_metrics.f_measure, found.global_metrics.bpm) == (0.0, 120.0)
    assert max(found.layers.rhythm.beat_strength) == 1.0
    assert max(map(max, found.layers.spectral.chroma)) == 0.0


def test_the_tempo_goes_on_through_a_silence() -> None:
    of = base()
    of["layers"]["annotations"]["silence"] = [{"start_ms": 10_000.0, "end_ms": 20_000.0}]
    beats = [time for time in BEATS if not 10_000 <= time <= 20_000]
    found = applied(BeatGrid.of(beats, ()), of)
    assert {point.bpm for point in found.layers.rhythm.tempo_curve} == {120.0}
    assert {point.time_ms for point in found.layers.rhythm.tempo_curve} <= set(beats)
    assert found.global_metrics.tempo_stability == 1.0


@pytest.mark.parametrize("tiny", [None, 1e-7])
@pytest.mark.parametrize("is_sealed", [False, True])
def test_the_map_is_canonical_and_its_hash_right(is_sealed: bool, tiny: float | None) -> None:
    """Whether or not the map of the analysis was, and where its numbers need exponents."""
    before = base()
    if tiny is not None:
        before["layers"]["dynamics"]["peaks"][0]["intensity"] = tiny
    made = override_beats(
        json.loads(with_map_hash(before)) if is_sealed else before, BeatGrid.of([0.0, 333.3, 40_000.0], [1])
    )
    document = json.loads(made.genesis_json)
    assert rfc8785.dumps(document) == made.genesis_json
    stated = document["metadata"]["hashes"].pop("map_sha256")
    del document["metadata"]["timestamp_utc"]
    assert hashlib.sha256(rfc8785.dumps(document)).hexdigest() == stated
