"""What worker processes do on request: run a graph, make the map and the show with beats that a person set, copy audio."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydantic_core

from k1_analysis.artefacts import ArtefactFile, describe_file
from k1_analysis.copies.opus import CopyTask, EncodedCopy, encode_copy
from k1_analysis.engine.output.beat_override import override_beats
from k1_analysis.jobs.tasks import summarise
from k1_analysis.shows.show import GraphRun, write_run
from k1_analysis.shows.tasks import MAP_NAME, GraphRunTask, run_graph
from k1_contracts.beats.grid import BeatGrid
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import GraphDocument
from k1_contracts.tracks import AnalysisSummary, Notice
from k1_graph.errors import GraphError
from k1_graph.validation.validator import compile_graph

_METRICS_NAME: Final = "phase2b_metrics.json"


@dataclass(frozen=True, slots=True)
class OverrideTask:
    """Beats to put into a map, and the graph to run over it; both were checked before."""

    base: Path
    """The map of the analysis."""
    grid: BeatGrid
    graph: GraphDocument | None
    scratch: Path


@dataclass(frozen=True, slots=True)
class OverrideRun:
    """The map with the beats of a person and its show."""

    summary: AnalysisSummary
    cemgil: float
    files: tuple[ArtefactFile, ...]
    warnings: tuple[Notice, ...]
    show_failed: str | None
    """Why the graph could not be run."""


def run_on_request(
    task: GraphRunTask | OverrideTask | CopyTask, report: Callable[[object], None]
) -> GraphRun | OverrideRun | EncodedCopy:
    """Run one task of the pool for requests."""
    if isinstance(task, CopyTask):
        return encode_copy(task)
    return override(task) if isinstance(task, OverrideTask) else run_graph(task, report)


def override(task: OverrideTask) -> OverrideRun:
    """Write the map with the beats of a person, its metrics, and the files of its show."""
    made = override_beats(pydantic_core.from_json(task.base.read_bytes()), task.grid)
    # Nothing leaves this process that the model of the contract does not accept.
    genesis = GenesisMap.model_validate_json(made.genesis_json)
    path, metrics = task.scratch / MAP_NAME, task.scratch / _METRICS_NAME
    path.write_bytes(made.genesis_json)
    metrics.write_text(json.dumps(made.metrics), encoding="utf-8")
    files = (describe_file(path, "genesis_map"), describe_file(metrics, "metrics"))
    show_failed = None
    if task.graph is not None:
        try:
            files += write_run(compile_graph(task.graph), genesis, task.scratch).files
        except GraphError as error:
            show_failed = str(error)
    return OverrideRun(
        summary=summarise(genesis),
        cemgil=genesis.global_metrics.cemgil,
        files=files,
        warnings=tuple(Notice(code=w.code, message=w.message) for w in genesis.metadata.warnings),
        show_failed=show_failed,
    )
