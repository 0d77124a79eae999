"""Checks the whole graph: cycles, root, types, reachability, memory and cost."""

from collections.abc import Mapping

import networkx as nx

from k1_graph import limits
from k1_graph.costs import output_types, scratch_peak, total_us
from k1_graph.graph import Node, data_flow, frame_order
from k1_graph.node_types.definitions import is_assignable
from k1_graph.validation.document_reader import ViolationCollector

_CYCLE_SHOWN = 12


def check_graph(nodes: Mapping[str, Node], violations: ViolationCollector) -> None:
    """Check the nodes together. `nodes` must have only valid references."""
    graph = data_flow(nodes.values())
    acyclic = _check_cycles(graph, violations)
    ordered = {name: nodes[name] for name in frame_order(nodes)} if acyclic else nodes
    _check_types(ordered, violations)
    _check_reachability(nodes, graph, violations)
    _check_state(nodes, violations)
    _check_size(nodes, violations)
    if acyclic:
        _check_scratch(ordered, violations)


def _check_cycles(graph: "nx.DiGraph[str]", violations: ViolationCollector) -> bool:
    """Report each strongly connected component once, with one cycle through it; return whether there is none."""
    components = [component for component in nx.strongly_connected_components(graph) if len(component) > 1]
    loops = [{name} for name in nx.nodes_with_selfloops(graph)]
    for component in sorted(
        [*components, *(loop for loop in loops if not any(loop <= component for component in components))],
        key=min,
    ):
        edges = nx.find_cycle(graph.subgraph(component), source=min(component))
        path = [edge[0] for edge in edges]
        shown = [*path[:_CYCLE_SHOWN], "..."] if len(path) > _CYCLE_SHOWN else path
        violations.add(
            "cycle",
            f"Nodes read one another in a circle: {' -> '.join([*shown, path[0]])}",
            "Cut one of these connections; feedback over time is what BufferPersist and LowPass are for.",
            node=path[0],
        )
    return not components and not loops


def _check_types(nodes: Mapping[str, Node], violations: ViolationCollector) -> None:
    types = output_types(nodes)
    for node in nodes.values():
        for name, ref in node.inputs.items():
            port = node.spec.inputs[name]
            source_type = types[ref]
            if is_assignable(source_type, port.type) or source_type == "led_buffer<T>":
                continue
            violations.add(
                "type_mismatch",
                f"Input {name} of {node.id} wants {port.type}, {'.'.join(ref)} gives {source_type}",
                _conversion(source_type, port.type),
                node=node.id,
            )


def _conversion(source_type: str, wanted: str) -> str:
    step = {
        ("color", "led_buffer<vec3>"): "Fill",
        ("param<color>", "led_buffer<vec3>"): "Fill",
        ("audio_spectrum", "float"): "BandShape",
        ("beat_event", "float"): "BeatPulse",
        ("float", "color"): "GradientMap",
        ("led_buffer<float>", "led_buffer<vec3>"): "ColorizeBuffer",
    }.get((source_type, wanted))
    return f"Put {step} between them." if step else f"Connect a node that gives {wanted}."


def _check_reachability(
    nodes: Mapping[str, Node], graph: "nx.DiGraph[str]", violations: ViolationCollector
) -> None:
    roots = sorted(node.id for node in nodes.values() if node.spec.behaviour == "root")
    if not roots:
        violations.add("root", "No node drives the strip", "Add a LedOutput or a LedOutputMirror.")
        return
    for extra in roots[1:]:
        violations.add(
            "root",
            f"{extra} is a second root beside {roots[0]}",
            "Keep one; join the pictures with ComposeLayers.",
            node=extra,
        )
    reached = set(roots).union(*(nx.ancestors(graph, root) for root in roots))
    for name in sorted(nodes.keys() - reached):
        violations.add(
            "unreachable",
            f"{name} does not reach the strip",
            "Connect it or remove it; the optimiser leaves it out.",
            node=name,
            severity="warning",
        )


def _check_state(nodes: Mapping[str, Node], violations: ViolationCollector) -> None:
    for node in nodes.values():
        size = node.state_bytes
        if size > limits.NODE_STATE_MAX_BYTES and not node.spec.state_allowed:
            violations.add(
                "node_state",
                f"{node.id} keeps {size} bytes, at most {limits.NODE_STATE_MAX_BYTES}",
                "Use a smaller setting or another node.",
                node=node.id,
            )
        elif size > limits.NODE_STATE_WARN_BYTES:
            violations.add(
                "node_state",
                f"{node.id} keeps {size} bytes between frames",
                f"Mind the graph's limit of {limits.GRAPH_STATE_MAX_BYTES} bytes.",
                node=node.id,
                severity="warning",
            )
    total = sum(node.state_bytes for node in nodes.values())
    if total > limits.GRAPH_STATE_MAX_BYTES:
        violations.add(
            "graph_state",
            f"The nodes keep {total} bytes, at most {limits.GRAPH_STATE_MAX_BYTES}",
            "Remove trails, waves or scrolls (BufferPersist, WavePool, SpriteScroll).",
        )


def _check_size(nodes: Mapping[str, Node], violations: ViolationCollector) -> None:
    if len(nodes) > limits.NODES_WARN:
        violations.add(
            "node_count",
            f"{len(nodes)} nodes, more than {limits.NODES_WARN}",
            "Simplify the graph, or let the optimiser merge what is equal.",
            severity="warning",
        )
    est_ms = total_us(nodes.values()) / 1000.0
    if est_ms > limits.FRAME_BUDGET_MS:
        costly = max(nodes.values(), key=lambda node: (node.cost_us, node.id))
        violations.add(
            "frame_budget",
            f"A frame takes about {est_ms:.2f} ms, the budget is {limits.FRAME_BUDGET_MS:g} ms",
            f"Begin with {costly.id} ({costly.spec.type}), {costly.cost_us / 1000.0:.2f} ms.",
            severity="warning",
        )


def _check_scratch(ordered: Mapping[str, Node], violations: ViolationCollector) -> None:
    peak = scratch_peak(ordered)
    if peak > limits.SCRATCH_MAX_BYTES:
        violations.add(
            "scratch",
            f"{peak} bytes of buffers are alive at once, at most {limits.SCRATCH_MAX_BYTES}",
            "Join layers earlier, so that fewer buffers wait for one another.",
        )
