"""Computes the run time and the scratch memory that a frame of a graph needs."""

from collections.abc import Iterable, Mapping

from k1_graph.graph import Node, Ref
from k1_graph.limits import FRAME_BUDGET_MS, LEDS
from k1_graph.node_types.definitions import BYTES_PER_LED


def total_us(nodes: Iterable[Node]) -> float:
    """Return the microseconds per frame. A K1 renders on one core, so the nodes' times add up."""
    return sum(node.cost_us for node in nodes)


def cpu_pct(est_ms: float) -> float:
    """Return the share of the 8 ms frame budget, in per cent."""
    return round(100.0 * est_ms / FRAME_BUDGET_MS, 2)


def output_types(nodes: Mapping[str, Node]) -> dict[Ref, str]:
    """Return the type of every output. `nodes` are in frame order; `led_buffer<T>` resolves to the type of `src`."""
    types: dict[Ref, str] = {}
    for node in nodes.values():
        for output, kind in node.spec.outputs.items():
            source = node.inputs.get("src")
            generic = kind == "led_buffer<T>"
            types[Ref(node.id, output)] = types.get(source, kind) if generic and source else kind
    return types


def scratch_peak(nodes: Mapping[str, Node]) -> int:
    """Return the largest number of bytes in buffers that are alive at once. `nodes` are in frame order.

    A buffer lives from its node to its last reader, both included. A buffer without a reader lives for one step.
    """
    types = output_types(nodes)
    steps = {name: step for step, name in enumerate(nodes)}
    last_use = {ref: steps[ref.node] for ref in types}
    for node in nodes.values():
        for ref in node.inputs.values():
            last_use[ref] = max(last_use[ref], steps[node.id])
    change = [0] * (len(steps) + 1)
    for ref, kind in types.items():
        size = BYTES_PER_LED.get(kind, 0) * LEDS
        change[steps[ref.node]] += size
        change[last_use[ref] + 1] -= size
    peak = live = 0
    for delta in change:
        live += delta
        peak = max(peak, live)
    return peak
