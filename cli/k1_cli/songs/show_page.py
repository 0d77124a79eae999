"""Builds the page of a simulated show and the picture of a graph from what the gateway returns."""

from typing import cast

from k1_cli.api.client import GatewayClient
from k1_cli.errors import CommandError
from k1_cli.json_types import JsonObject
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import ExecutorScale, GraphDocument, VisualReport
from k1_graph.optimiser import optimise
from k1_graph.reports.drawing import draw_graph_png
from k1_graph.reports.simulation import Simulation
from k1_graph.reports.simulation_page import render_simulation_html
from k1_graph.validation.validator import compile_graph


def build_simulation_page(
    gateway: GatewayClient,
    done: JsonObject,
    graph: JsonObject,
    genesis: JsonObject,
    *,
    title: str,
    audio: str,
) -> str:
    """Return the HTML page of a simulation; `audio` is a data URI or an address.

    Raises:
        CommandError: the previews cannot be fetched, or `audio` is no valid address.
    """
    urls = {artefact["name"]: cast("str", artefact["url"]) for artefact in done["artefacts"]}
    simulation = Simulation(
        scale=ExecutorScale.model_validate(done["executor_scale"]),
        visual=VisualReport.model_validate(done["visual_report"]),
        preview_png=gateway.fetch(urls["preview.png"]),
        preview_bin=gateway.fetch(urls["preview.bin"]),
        optimised=optimise(compile_graph(GraphDocument.model_validate(graph))).graph,
    )
    try:
        return render_simulation_html(
            simulation, GenesisMap.model_validate(genesis), title=title, audio=audio
        )
    except ValueError as error:
        raise CommandError(str(error)) from error


def draw_graph(graph: JsonObject) -> bytes:
    """Return the graph drawn in layers, as PNG."""
    return draw_graph_png(compile_graph(GraphDocument.model_validate(graph)))
