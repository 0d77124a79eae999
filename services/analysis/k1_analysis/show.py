"""The show of a song: its graph, what is computed from it, and what it looks like. Pure but for the files it writes."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel

from k1_analysis.job import MadeFile, described
from k1_analysis.preset_choice import choose_preset
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import ExecutorScale, GraphDocument, GraphRecommendation, Reason, VisualReport
from k1_contracts.tracks import ArtefactType
from k1_graph.graph import Graph
from k1_graph.recommendation.recommender import recommend
from k1_graph.reports.analysis import analyse, metrics
from k1_graph.reports.estimate import estimate
from k1_graph.reports.simulation import simulate
from k1_graph.validation.validator import compile_graph, validate

_CODE: Final = (".py", ".toml")


@dataclass(frozen=True, slots=True)
class Run:
    """A graph run over a whole song, and the files that it left."""

    scale: ExecutorScale
    visual: VisualReport
    files: tuple[MadeFile, ...]


def recommended(genesis: GenesisMap, preset: str | None) -> GraphDocument:
    """The graph for a song, with its reasons and its confidence in `meta`.

    Raises:
        GraphError: there is no template for this preset, or no show can be made of this map.
    """
    if preset is not None:
        return _told(recommend(genesis, preset), chosen_by="person")
    choice = choose_preset(genesis)
    guess = f"no preset was chosen: {choice.preset}, as {choice.why}; choose one to change it"
    return _told(recommend(genesis, choice.preset), Reason(text=guess), chosen_by="map")


def write_graph(document: GraphDocument, folder: Path) -> tuple[Graph, tuple[MadeFile, ...]]:
    """Write the graph and what can be told of it without running it.

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


def write_run(graph: Graph, genesis: GenesisMap, folder: Path) -> Run:
    """Run the graph over the whole song, plain and optimised, and write what it showed.

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
        described(image, "preview"),
        described(stream, "preview"),
    )
    return Run(found.scale, found.visual, made)


@cache
def show_identity() -> dict[str, str]:
    """What, with the map and the graph, determines the files of a show: code and data, by their hash."""
    own = files("k1_analysis")
    sources = [*_sources(files("k1_graph")), own / "show.py", own / "preset_choice.py"]
    digest = sha256()
    for source in sources:
        digest.update(source.name.encode() + b"\0" + sha256(source.read_bytes()).digest())
    return {"sha256": digest.hexdigest(), "networkx": version("networkx"), "numpy": version("numpy")}


def _sources(folder: Traversable) -> list[Traversable]:
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    found = [entry for entry in entries if entry.is_file() and entry.name.endswith(_CODE)]
    return found + [source for entry in entries if entry.is_dir() for source in _sources(entry)]


def _told(found: GraphRecommendation, *first: Reason, chosen_by: Literal["person", "map"]) -> GraphDocument:
    """The graph with all that is known about how it was chosen."""
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


def _write(folder: Path, kind: ArtefactType, name: str, body: BaseModel) -> MadeFile:
    path = folder / name
    path.write_text(body.model_dump_json(exclude_none=True), encoding="utf-8")
    return described(path, kind)
