"""Draws a graph in layers as SVG or, with matplotlib, as PNG: sources on the left, the strip on the right."""

import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx

from k1_graph.graph import Graph, Node

_BOX_WIDTH, _BOX_HEIGHT = 168.0, 48.0
_GAP_X, _GAP_Y, _MARGIN = 64.0, 18.0, 28.0
_DUMMY_HEIGHT = 4.0
_DUMMY = ">"
"""The prefix of the names of dummy nodes; no node id contains it."""
_CONTROL_DISTANCE = _GAP_X * 0.7
_ORDERING_PASSES = 8
_BOX_COLORS = {
    "source": "#dcecff",
    "constant": "#eeeeee",
    "pure": "#ffffff",
    "stateful": "#ffeccc",
    "root": "#d8f5dc",
}
_TEXT_COLOR, _EDGE_COLOR = "#1c1b22", "#8a879c"
_MAX_NAME_LENGTH = 22


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout in pixels: the top left corner of every node, the points of every edge, the size."""

    positions: Mapping[str, tuple[float, float]]
    routes: Sequence[Sequence[tuple[float, float]]]
    """The points of each edge: from its source, through its dummy nodes, to its target."""
    width: float
    height: float


def lay_out(graph: Graph) -> Layout:
    """Compute a layered layout after Sugiyama, Tagawa and Toda (1981).

    A node is one column left of its leftmost reader. An edge that crosses columns has a dummy node in each of them, so
    that it never runs behind a box. The barycentre method orders the nodes inside a column.
    """
    columns = _assign_columns(graph)
    layered, paths = _add_dummy_nodes(graph, columns)
    order = _order_columns(layered, columns)
    tallest = max(sum(_height(item) + _GAP_Y for item in column) for column in order) - _GAP_Y
    positions: dict[str, tuple[float, float]] = {}
    for number, column in enumerate(order):
        y = _MARGIN + (tallest - sum(_height(item) + _GAP_Y for item in column) + _GAP_Y) / 2
        for item in column:
            positions[item] = (_MARGIN + number * (_BOX_WIDTH + _GAP_X), y)
            y += _height(item) + _GAP_Y
    return Layout(
        positions=positions,
        routes=[_route(path, positions) for path in paths],
        width=2 * _MARGIN + len(order) * (_BOX_WIDTH + _GAP_X) - _GAP_X,
        height=2 * _MARGIN + tallest,
    )


def draw_graph_svg(graph: Graph) -> str:
    """Return the graph as a self-contained SVG document."""
    layout = lay_out(graph)
    edges = [_svg_edge(route) for route in layout.routes]
    boxes = [_svg_box(layout, node) for node in graph.nodes.values()]
    size = f"{layout.width:g} {layout.height:g}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{layout.width:g}" '
        f'height="{layout.height:g}" font-family="system-ui, sans-serif" role="img" aria-label="K1 graph">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{_EDGE_COLOR}"/></marker></defs>'
        '<rect width="100%" height="100%" fill="#fbfbfd"/>' + "".join([*edges, *boxes]) + "</svg>"
    )


def draw_graph_png(graph: Graph, *, scale: float = 1.5) -> bytes:
    """Return the graph as PNG. Raises ImportError, with the extra to install, without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  an optional, heavy import
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("Drawing PNG needs matplotlib: install k1-graph[draw], or draw SVG") from error
    layout = lay_out(graph)
    figure = Figure(figsize=(layout.width / 100, layout.height / 100), dpi=100 * scale, facecolor="#fbfbfd")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, layout.width), ylim=(layout.height, 0))
    axes.axis("off")
    for route in layout.routes:
        _plot_edge(axes, route)
    for node in graph.nodes.values():
        _plot_box(axes, layout, node)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _assign_columns(graph: Graph) -> dict[str, int]:
    """Return the column of every node, 0 on the left."""
    flow = graph.flow()
    from_right: dict[str, int] = {}
    for name in reversed(list(graph.nodes)):
        from_right[name] = 1 + max((from_right[reader] for reader in flow.successors(name)), default=-1)
    last = max(from_right.values())
    return {name: last - from_right[name] for name in graph.nodes}


def _add_dummy_nodes(graph: Graph, columns: dict[str, int]) -> tuple["nx.DiGraph[str]", list[list[str]]]:
    """Return the graph with dummy nodes in every column that an edge crosses, and each edge as a path."""
    layered: nx.DiGraph[str] = nx.DiGraph()
    layered.add_nodes_from(graph.nodes)
    paths: list[list[str]] = []
    for source, target in graph.flow().edges:
        passed = range(columns[source] + 1, columns[target])
        dummies = {f"{_DUMMY}{source}{_DUMMY}{target}{_DUMMY}{column}": column for column in passed}
        columns.update(dummies)
        path = [source, *dummies, target]
        nx.add_path(layered, path)
        paths.append(path)
    return layered, paths


def _order_columns(layered: "nx.DiGraph[str]", columns: Mapping[str, int]) -> list[list[str]]:
    order: list[list[str]] = [[] for _ in range(max(columns.values()) + 1)]
    for item in layered:
        order[columns[item]].append(item)
    positions = {item: _centred_index(column, index) for column in order for index, item in enumerate(column)}
    for ordering_pass in range(_ORDERING_PASSES):
        backwards = ordering_pass % 2 == 0
        neighbours = layered.successors if backwards else layered.predecessors
        for column in reversed(order) if backwards else order:
            weight = {
                item: _mean([positions[n] for n in neighbours(item)], positions[item]) for item in column
            }
            column.sort(key=lambda item, weight=weight: (weight[item], item))
            positions.update({item: _centred_index(column, index) for index, item in enumerate(column)})
    return order


def _height(item: str) -> float:
    return _DUMMY_HEIGHT if item.startswith(_DUMMY) else _BOX_HEIGHT


def _route(path: Sequence[str], positions: Mapping[str, tuple[float, float]]) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for item in path:
        x, y = positions[item]
        middle = y + _height(item) / 2
        points += [(x, middle), (x + _BOX_WIDTH, middle)]
    return points[1:-1]


def _centred_index(layer: Sequence[str], index: int) -> float:
    return index - (len(layer) - 1) / 2


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _shorten(name: str) -> str:
    return name if len(name) <= _MAX_NAME_LENGTH else name[: _MAX_NAME_LENGTH - 1] + "…"


def _caption(node: Node) -> str:
    return f"{node.spec.type} · {node.cost_us:g} us"


def _svg_edge(route: Sequence[tuple[float, float]]) -> str:
    curve = f"M{route[0][0]:g} {route[0][1]:g}"
    for (x0, y0), (x1, y1) in pairwise(route):
        curve += (
            f"C{x0 + _CONTROL_DISTANCE:g} {y0:g} {x1 - _CONTROL_DISTANCE:g} {y1:g} {x1:g} {y1:g}"
            if y0 != y1
            else f"L{x1:g} {y1:g}"
        )
    return f'<path d="{curve}" fill="none" stroke="{_EDGE_COLOR}" stroke-width="1.4" marker-end="url(#tip)"/>'


def _svg_box(layout: Layout, node: Node) -> str:
    x, y = layout.positions[node.id]
    middle = x + _BOX_WIDTH / 2
    return (
        f'<g><rect x="{x:g}" y="{y:g}" width="{_BOX_WIDTH:g}" height="{_BOX_HEIGHT:g}" rx="9" '
        f'fill="{_BOX_COLORS[node.spec.behaviour]}" stroke="#5a5770"/>'
        f'<text x="{middle:g}" y="{y + 20:g}" text-anchor="middle" font-size="13" font-weight="600" fill="{_TEXT_COLOR}">'
        f"{html.escape(_shorten(node.id))}</text>"
        f'<text x="{middle:g}" y="{y + 37:g}" text-anchor="middle" font-size="11" fill="#55526a">'
        f"{html.escape(_caption(node))}</text></g>"
    )


def _plot_edge(axes: Any, route: Sequence[tuple[float, float]]) -> None:
    from matplotlib.patches import FancyArrowPatch  # noqa: PLC0415
    from matplotlib.path import Path  # noqa: PLC0415

    points = [route[0]]
    for (x0, y0), (x1, y1) in pairwise(route):
        points += [(x0 + _CONTROL_DISTANCE, y0), (x1 - _CONTROL_DISTANCE, y1), (x1, y1)]
    path = Path(points, [Path.MOVETO, *[Path.CURVE4] * (len(points) - 1)])
    axes.add_patch(
        FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=9, color=_EDGE_COLOR, linewidth=1.1)
    )


def _plot_box(axes: Any, layout: Layout, node: Node) -> None:
    from matplotlib.patches import FancyBboxPatch  # noqa: PLC0415

    x, y = layout.positions[node.id]
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            _BOX_WIDTH,
            _BOX_HEIGHT,
            boxstyle="round,pad=0,rounding_size=9",
            facecolor=_BOX_COLORS[node.spec.behaviour],
            edgecolor="#5a5770",
        )
    )
    middle = x + _BOX_WIDTH / 2
    axes.text(
        middle,
        y + 17,
        _shorten(node.id),
        ha="center",
        va="center",
        fontsize=9,
        weight="bold",
        color=_TEXT_COLOR,
    )
    axes.text(middle, y + 34, _caption(node), ha="center", va="center", fontsize=7.5, color="#55526a")
