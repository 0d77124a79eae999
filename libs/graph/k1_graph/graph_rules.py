"""Rules of the whole graph: cycles, root, types, reach, memory and cost."""

from collections.abc import Mapping

import networkx as nx

from k1_graph import limits
from k1_graph.catalogue import reads_as
from k1_graph.estimate import total_us
from k1_graph.graph import Node, flow, frame_order
from k1_graph.memory import output_types, scratch_peak
from k1_graph.shape import Report

_CYCLE_SHOWN = 12


def check_graph(nodes: Mapping[str, Node], report: Report) -> None:
    """Report what is wrong with the nodes together; `nodes` hold valid references only."""
    graph = flow(nodes.values())
    acyclic = _check_cycles(graph, report)
    ordered = {name: nodes[name] for name in frame_order(nodes)} if acyclic else nodes
    _check_types(ordered, report)
    _check_reach(nodes, graph, report)
    _check_state(nodes, report)
    _check_size(nodes, report)
    if acyclic:
        _check_scratch(ordered, report)


def _check_cycles(graph: "nx.DiGraph[str]", report: Report) -> bool:
    """Every knot of nodes that read one another is reported once, with one way round it."""
    knots = [knot for knot in nx.strongly_connected_components(graph) if len(knot) > 1]
    loops = [{name} for name in nx.nodes_with_selfloops(graph)]
    for knot in sorted([*knots, *(loop for loop in loops if not any(loop <= k for k in knots))], key=min):
        edges = nx.find_cycle(graph.subgraph(knot), source=min(knot))
        path = [edge[0] for edge in edges]
        shown = [*path[:_CYCLE_SHOWN], "..."] if len(path) > _CYCLE_SHOWN else path
        report.add(
            "cycle",
            f"Nodes read one another in a circle: {' -> '.join([*shown, path[0]])}",
            "Cut one of these connections; feedback over time is what BufferPersist and LowPass are for.",
            node=path[0],
        )
    return not knots and not loops


def _check_types(nodes: Mapping[str, Node], report: Report) -> None:
    types = output_types(nodes)
    for node in nodes.values():
        for name, ref in node.inputs.items():
            port = node.spec.inputs[name]
            given = types[ref]
            if reads_as(given, port.type) or given == "led_buffer<T>":
                continue
            report.add(
                "type_mismatch",
                f"Input {name} of {node.id} wants {port.type}, {'.'.join(ref)} gives {given}",
                _conversion(given, port.type),
                node=node.id,
            )


def _conversion(given: str, wanted: str) -> str:
    step = {
        ("color", "led_buffer<vec3>"): "Fill",
        ("param<color>", "led_buffer<vec3>"): "Fill",
        ("audio_spectrum", "float"): "BandShape",
        ("beat_event", "float"): "BeatPulse",
        ("float", "color"): "GradientMap",
        ("led_buffer<float>", "led_buffer<vec3>"): "ColorizeBuffer",
    }.get((given, wanted))
    return f"Put {step} between them." if step else f"Connect a node that gives {wanted}."


def _check_reach(nodes: Mapping[str, Node], graph: "nx.DiGraph[str]", report: Report) -> None:
    roots = sorted(node.id for node in nodes.values() if node.spec.behaviour == "root")
    if not roots:
        report.add("root", "No node drives the strip", "Add a LedOutput or a LedOutputMirror.")
        return
    for extra in roots[1:]:
        report.add(
            "root",
            f"{extra} is a second root beside {roots[0]}",
            "Keep one; join the pictures with ComposeLayers.",
            node=extra,
        )
    reached = set(roots).union(*(nx.ancestors(graph, root) for root in roots))
    for name in sorted(nodes.keys() - reached):
        report.add(
            "unreachable",
            f"{name} does not reach the strip",
            "Connect it or remove it; the optimiser leaves it out.",
            node=name,
            severity="warning",
        )


def _check_state(nodes: Mapping[str, Node], report: Report) -> None:
    for node in nodes.values():
        size = node.state_bytes
        if size > limits.NODE_STATE_MAX_BYTES and not node.spec.state_allowed:
            report.add(
                "node_state",
                f"{node.id} keeps {size} bytes, at most {limits.NODE_STATE_MAX_BYTES}",
                "Use a smaller setting or another node.",
                node=node.id,
            )
        elif size > limits.NODE_STATE_WARN_BYTES:
            report.add(
                "node_state",
                f"{node.id} keeps {size} bytes between frames",
                f"Mind the graph's limit of {limits.GRAPH_STATE_MAX_BYTES} bytes.",
                node=node.id,
                severity="warning",
            )
    total = sum(node.state_bytes for node in nodes.values())
    if total > limits.GRAPH_STATE_MAX_BYTES:
        report.add(
            "graph_state",
            f"The nodes keep {total} bytes, at most {limits.GRAPH_STATE_MAX_BYTES}",
            "Remove trails, waves or scrolls (BufferPersist, WavePool, SpriteScroll).",
        )


def _check_size(nodes: Mapping[str, Node], report: Report) -> None:
    if len(nodes) > limits.NODES_WARN:
        report.add(
            "node_count",
            f"{len(nodes)} nodes, more than {limits.NODES_WARN}",
            "Simplify the graph, or let the optimiser merge what is equal.",
            severity="warning",
        )
    est_ms = total_us(nodes.values()) / 1000.0
    if est_ms > limits.FRAME_BUDGET_MS:
        costly = max(nodes.values(), key=lambda node: (node.cost_us, node.id))
        report.add(
            "frame_budget",
            f"A frame takes about {est_ms:.2f} ms, the budget is {limits.FRAME_BUDGET_MS:g} ms",
            f"Begin with {costly.id} ({costly.spec.type}), {costly.cost_us / 1000.0:.2f} ms.",
            severity="warning",
        )


def _check_scratch(ordered: Mapping[str, Node], report: Report) -> None:
    peak = scratch_peak(ordered)
    if peak > limits.SCRATCH_MAX_BYTES:
        report.add(
            "scratch",
            f"{peak} bytes of buffers are alive at once, at most {limits.SCRATCH_MAX_BYTES}",
            "Join layers earlier, so that fewer buffers wait for one another.",
        )
