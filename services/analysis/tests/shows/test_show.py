"""The show of a song: every artefact of the graph, for songs of several kinds."""

import json
import struct
from hashlib import sha256
from pathlib import Path

import pytest

from k1_analysis.artefacts import ArtefactFile
from k1_analysis.engine import analyse_file
from k1_analysis.handlers import list_presets
from k1_analysis.shows.show import choose_graph, choose_preset, show_identity
from k1_analysis.shows.tasks import ShowTask, make_show
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import (
    ExecutorScale,
    GraphAnalysis,
    GraphDocument,
    GraphEstimate,
    GraphMetrics,
    GraphValidation,
    VisualReport,
)
from k1_contracts.messages.catalogue.graphs import ListPresets
from k1_graph.errors import GraphError
from k1_graph.testing import synthetic_map
from k1_graph.validation.validator import parse_graph
from tests.support import songs

NAMES = {
    "graph.json": GraphDocument,
    "graph.metrics.json": GraphMetrics,
    "graph.estimate.json": GraphEstimate,
    "graph.validation.json": GraphValidation,
    "graph.analysis.json": GraphAnalysis,
    "graph.executor.scale.json": ExecutorScale,
    "visual.report.json": VisualReport,
    "preview.png": None,
    "preview.bin": None,
}


def made(folder: Path, genesis: GenesisMap, preset: str | None) -> tuple[ArtefactFile, ...]:
    folder.mkdir(exist_ok=True)
    (folder / "track.genesis.json").write_text(genesis.model_dump_json())
    stages: list[str] = []
    files = make_show(ShowTask(folder, preset), lambda progress: stages.append(progress.stage))
    assert stages == ["graph"]
    return files


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> GenesisMap:
    """The map of digital silence."""
    song = tmp_path_factory.mktemp("silent") / "silence.wav"
    song.write_bytes(songs.silence())
    return GenesisMap.model_validate(analyse_file(song, filename=song.name).genesis)


def with_tempo(bpm: float, **metrics: float) -> GenesisMap:
    genesis = synthetic_map(8_000.0, bpm=bpm)
    return genesis.model_copy(
        update={"global_metrics": genesis.global_metrics.model_copy(update=dict(metrics))}
    )


@pytest.mark.parametrize("preset", ["edm", "rock", "orchestral", "jazz", "hiphop", "edm_high_energy", None])
def test_every_artefact_of_a_show(tmp_path: Path, preset: str | None) -> None:
    """Each file has its name, hash and model; the graph is valid and has its reasons."""
    files = made(tmp_path, synthetic_map(6_000.0, bpm=128), preset)
    assert [file.name for file in files] == list(NAMES)
    for file in files:
        data = (tmp_path / file.name).read_bytes()
        assert (file.size_bytes, file.sha256) == (len(data), sha256(data).hexdigest())
        if model := NAMES[file.name]:
            model.model_validate_json(data)
    graph = json.loads((tmp_path / "graph.json").read_text())
    parse_graph(graph)
    assert graph["meta"]["reasons"]
    assert 0 < graph["meta"]["confidence"] <= 1
    assert graph["meta"]["preset_chosen_by"] == ("person" if preset else "map")
    assert json.loads((tmp_path / "graph.validation.json").read_text())["ok"] is True
    width, height = struct.unpack(">II", (tmp_path / "preview.png").read_bytes()[16:24])
    assert width > 0 < height


def test_a_silent_song_gets_a_valid_graph(tmp_path: Path, silent: GenesisMap) -> None:
    """Without one beat: the show follows the loudness, flashes nowhere, and its reason explains this."""
    files = made(tmp_path, silent, None)
    assert [file.name for file in files] == list(NAMES)
    assert not silent.layers.rhythm.beat_grid_ms
    graph = json.loads((tmp_path / "graph.json").read_text())
    assert graph["meta"]["preset"] == "orchestral"
    assert "no beats were found" in graph["meta"]["reasons"][0]["text"]
    clear = choose_graph(synthetic_map(8_000.0), "orchestral").meta or {}
    assert graph["meta"]["confidence"] < clear["confidence"]
    visual = json.loads((tmp_path / "visual.report.json").read_text())
    assert visual["photosensitivity"]["passed"] is True


def test_the_same_map_gives_the_same_bytes(tmp_path: Path) -> None:
    """Every file, byte for byte."""
    genesis = synthetic_map(6_000.0, bpm=100)
    assert made(tmp_path / "one", genesis, "rock") == made(tmp_path / "two", genesis, "rock")


@pytest.mark.parametrize(
    ("genesis", "preset"),
    [
        (with_tempo(128.0), "edm"),
        (with_tempo(90.0, tempo_stability=0.5), "rock"),
        (with_tempo(128.0, loudness_range_lu=15.0), "orchestral"),
        (with_tempo(150.0, tempo_stability=0.5, integrated_lufs=-21.0), "jazz"),
    ],
)
def test_without_a_preset_the_map_decides(genesis: GenesisMap, preset: str) -> None:
    """By rules that a person can follow; the reason comes first, with how to change it."""
    assert choose_preset(genesis).preset == preset
    meta = choose_graph(genesis, None).meta
    assert meta is not None
    assert meta["reasons"][0]["text"].startswith(f"no preset was chosen: {preset}, as ")
    assert "choose one to change it" in meta["reasons"][0]["text"]


def test_bass_decides_for_hip_hop() -> None:
    """A slow, steady song whose bass is the strongest band."""
    genesis = synthetic_map(8_000.0, bpm=90)
    frequency = genesis.layers.frequency
    quiet = [point.model_copy(update={"intensity": 0.05}) for point in frequency.bass]
    heavy = frequency.model_copy(update={"mids": quiet, "highs": quiet})
    layers = genesis.layers.model_copy(update={"frequency": heavy})
    assert choose_preset(genesis.model_copy(update={"layers": layers})).preset == "hiphop"


def test_an_unknown_preset_is_an_error_of_the_graph(tmp_path: Path) -> None:
    """The error names the presets that exist."""
    with pytest.raises(GraphError, match="edm"):
        made(tmp_path, synthetic_map(4_000.0), "polka")


def test_the_identity_covers_code_and_data() -> None:
    """The prefix of a show's files depends on the code and data that determine them."""
    assert len(show_identity()["sha256"]) == 64
    assert set(show_identity()) == {"sha256", "networkx", "numpy"}


async def test_presets_are_listed_with_their_templates() -> None:
    """The five presets, the alias with its own, each with the template that its graph starts from."""
    listed = {preset.name: preset for preset in (await list_presets(ListPresets())).presets}
    assert set(listed) == {"edm", "rock", "orchestral", "jazz", "hiphop"}
    assert listed["edm"].aliases == ["edm_high_energy"]
    for preset in listed.values():
        assert preset.template.nodes
        assert preset.tempo_bpm[0] < preset.tempo_bpm[1]
