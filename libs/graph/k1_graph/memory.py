"""Scratch memory of a frame, by the real lifetimes of its buffers."""

from collections.abc import Mapping

from k1_graph.catalogue import BYTES_PER_LED
from k1_graph.graph import Node, Ref
from k1_graph.limits import LEDS


def output_types(nodes: Mapping[str, Node]) -> dict[Ref, str]:
    """The type of every output. `nodes` stand in frame order; `led_buffer<T>` becomes the type of `src`."""
    types: dict[Ref, str] = {}
    for node in nodes.values():
        for output, kind in node.spec.outputs.items():
            source = node.inputs.get("src")
            generic = kind == "led_buffer<T>"
            types[Ref(node.id, output)] = types.get(source, kind) if generic and source else kind
    return types


def scratch_peak(nodes: Mapping[str, Node]) -> int:
    """Most bytes of buffers alive at once. A buffer lives from its node to its last reader, both included.

    `nodes` stand in frame order. A buffer that nobody reads lives for its own step only.
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
