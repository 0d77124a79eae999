"""Makes the show of a song: chooses its graph, runs the graph, and writes the artefacts of both.

Pure but for the files that it writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel

from k1_analysis.artefacts import ArtefactFile, describe_file
from k1_contracts.genesis import GenesisMap, IntensityPoint
from k1_contracts.graph import ExecutorScale, GraphDocument, GraphRecommendation, Reason, VisualReport
from k1_contracts.tracks import ArtefactType, Preset
from k1_graph.graph import Graph
from k1_graph.recommendation.recommender import recommend
from k1_graph.reports.analysis import analyse, metrics
from k1_graph.reports.estimate import estimate
from k1_graph.reports.simulation import simulate
from k1_graph.validation.validator import compile_graph, validate

_CODE: Final = (".py", ".toml")
_STEADY: Final = 0.9
_WIDE_RANGE_LU: Final = 12.0
_QUIET_LUFS: Final = -16.0
_DANCE_BPM: Final = (112.0, 180.0)
_SLOW_BPM: Final = (65.0, 112.0)


@dataclass(frozen=True, slots=True)
class PresetChoice:
    """A preset, and the reason for it."""

    preset: Preset
    why: str


@dataclass(frozen=True, slots=True)
class GraphRun:
    """The reports of a graph that was run over a whole song, and the files that it wrote."""

    scale: ExecutorScale
    visual: VisualReport
    files: tuple[ArtefactFile, ...]


def choose_graph(genesis: GenesisMap, preset: str | None) -> GraphDocument:
    """Return the graph for a song, with its reasons and its confidence in `meta`.

    Raises:
        GraphError: there is no template for this preset, or no show can be made of this map.
    """
    if preset is not None:
        return _with_reasons(recommend(genesis, preset), chosen_by="person")
    choice = choose_preset(genesis)
    guess = f"no preset was chosen: {choice.preset}, as {choice.why}; choose one to change it"
    return _with_reasons(recommend(genesis, choice.preset), Reason(text=guess), chosen_by="map")


def write_graph(document: GraphDocument, folder: Path) -> tuple[Graph, tuple[ArtefactFile, ...]]:
    """Write the graph and the reports that need no run of it.

    Raises:
        GraphInvalidError: the document breaks rules.
    """
    graph = compile_graph(document)
    made = (
        _write(folder, "graph", "graph.json", document),
        _write(folder, "graph_metrics", "graph.metrics.json", metrics(graph)),
        _write(folder, "graph_estimate", "graph.estimate.json", estimate(graph)),
        _write(folder, "graph_validation", "graph.validation.json", validate(_plain(document))),
        _write(folder, "graph_analysis", "graph.analysis.json", analyse(graph)),
    )
    return graph, made


def write_run(graph: Graph, genesis: GenesisMap, folder: Path) -> GraphRun:
    """Run the graph over the whole song, plain and optimised, and write its reports and previews.

    Raises:
        MapUnusableError: no show can be run over this map.
    """
    found = simulate(graph, genesis)
    image, stream = folder / "preview.png", folder / "preview.bin"
    image.write_bytes(found.preview_png)
    stream.write_bytes(found.preview_bin)
    made = (
        _write(folder, "graph_executor_scale", "graph.executor.scale.json", found.scale),
        _write(folder, "visual_report", "visual.report.json", found.visual),
        describe_file(image, "preview"),
        describe_file(stream, "preview"),
    )
    return GraphRun(found.scale, found.visual, made)


@cache
def show_identity() -> dict[str, str]:
    """Return the hash of the code and data, and the library versions, that determine the files of a show.

    The map and the graph determine the rest.
    """
    own = files("k1_analysis.shows")
    sources = [*_sources(files("k1_graph")), own / "show.py"]
    digest = sha256()
    for source in sources:
        digest.update(source.name.encode() + b"\0" + sha256(source.read_bytes()).digest())
    return {"sha256": digest.hexdigest(), "networkx": version("networkx"), "numpy": version("numpy")}


def _sources(folder: Traversable) -> list[Traversable]:
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    found = [entry for entry in entries if entry.is_file() and entry.name.endswith(_CODE)]
    return found + [source for entry in entries if entry.is_dir() for source in _sources(entry)]


def _with_reasons(
    found: GraphRecommendation, *first: Reason, chosen_by: Literal["person", "map"]
) -> GraphDocument:
    """Return the graph with the reasons for its choice in `meta`."""
    meta: dict[str, Any] = {
        **(found.graph.meta or {}),
        "preset_chosen_by": chosen_by,
        "confidence_meaning": found.confidence_meaning,
        "evidence": [evidence.model_dump() for evidence in found.evidence],
        "reasons": [reason.model_dump(exclude_none=True) for reason in (*first, *found.reasons)],
    }
    return found.graph.model_copy(update={"meta": meta})


def _plain(document: GraphDocument) -> dict[str, Any]:
    return document.model_dump(mode="json", exclude_none=True)


def _write(folder: Path, kind: ArtefactType, name: str, body: BaseModel) -> ArtefactFile:
    path = folder / name
    path.write_text(body.model_dump_json(exclude_none=True), encoding="utf-8")
    return describe_file(path, kind)


def choose_preset(genesis: GenesisMap) -> PresetChoice:
    """Return the preset that fits the map by plain rules; rock, the plainest show, if no rule applies.

    The rules are a guess about the style. The show says so, and a person who names a preset overrules them.
    """
    figures, layers = genesis.global_metrics, genesis.layers
    if not layers.rhythm.beat_grid_ms:
        return PresetChoice("orchestral", "no beats were found, so the show follows the loudness")
    if figures.loudness_range_lu >= _WIDE_RANGE_LU:
        return PresetChoice("orchestral", f"its loudness ranges over {figures.loudness_range_lu:.1f} LU")
    steady = figures.tempo_stability >= _STEADY
    low, high = _DANCE_BPM
    if steady and low <= figures.bpm <= high and layers.annotations.drops:
        return PresetChoice("edm", f"it drops, at a steady {figures.bpm:.1f} BPM")
    if steady and _SLOW_BPM[0] <= figures.bpm < _SLOW_BPM[1] and _bass_leads(genesis):
        return PresetChoice("hiphop", f"its bass leads at a steady {figures.bpm:.1f} BPM")
    loud = figures.integrated_lufs
    if loud is not None and loud < _QUIET_LUFS:
        return PresetChoice("jazz", f"it is played softly, at {loud:.1f} LUFS")
    return PresetChoice("rock", "nothing in the map speaks for another style")


def _bass_leads(genesis: GenesisMap) -> bool:
    frequency = genesis.layers.frequency
    return _mean(frequency.bass) > max(_mean(frequency.mids), _mean(frequency.highs))


def _mean(points: Sequence[IntensityPoint]) -> float:
    return sum(point.intensity for point in points) / max(len(points), 1)
