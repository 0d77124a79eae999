"""What worker processes do for shows: make the show of a song, or run a graph on request."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from k1_analysis.artefacts import ArtefactFile
from k1_analysis.shows.show import GraphRun, choose_graph, write_graph, write_run
from k1_analysis.task_progress import TaskProgress
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import GraphDocument
from k1_graph.validation.validator import compile_graph

MAP_NAME: Final = "track.genesis.json"
_GRAPH_CHOSEN_PERCENT: Final = 35.0


@dataclass(frozen=True, slots=True)
class ShowTask:
    """A show to make from the map that the analysis left in the scratch folder."""

    scratch: Path
    preset: str | None


@dataclass(frozen=True, slots=True)
class GraphRunTask:
    """A graph to run with a map; both were checked before."""

    genesis: Path
    graph: GraphDocument
    scratch: Path


def make_show(task: ShowTask, report: Callable[[TaskProgress], None]) -> tuple[ArtefactFile, ...]:
    """Choose the graph, run it over the song and write the artefacts of both.

    Raises:
        GraphError: no show can be made from this map.
    """
    genesis = GenesisMap.model_validate_json((task.scratch / MAP_NAME).read_bytes())
    document = choose_graph(genesis, task.preset)
    report(TaskProgress("graph", _GRAPH_CHOSEN_PERCENT))
    graph, files = write_graph(document, task.scratch)
    return files + write_run(graph, genesis, task.scratch).files


def run_graph(task: GraphRunTask, _: Callable[[object], None]) -> GraphRun:
    """Run a graph over a song and write its reports and previews.

    Raises:
        GraphError: the graph breaks rules, or the map cannot be used.
    """
    genesis = GenesisMap.model_validate_json(task.genesis.read_bytes())
    return write_run(compile_graph(task.graph), genesis, task.scratch)
