"""Provides Hypothesis strategies for valid graphs of all node types."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from k1_contracts.graph import GraphDocument, GraphNode
from k1_graph.costs import output_types
from k1_graph.node_types.definitions import NodeType, ParamSpec, is_assignable, load_node_types
from k1_graph.validation.document_reader import NodeDraft, ViolationCollector
from k1_graph.validation.node_rules import KnownNodes, check_node
from k1_graph.validation.validator import validate

_LEAVES = {
    "float": "MapEnvelope",
    "audio_envelope": "AudioSnapshot",
    "audio_spectrum": "AudioSpectrum",
    "beat_event": "MapBeat",
    "color": "Hsv",
    "bool": "ConfigToggle",
    "rng_seed": "RngSeed",
    "led_buffer<vec3>": "Fill",
    "led_buffer<float>": "WavePool",
}
"""The node that provides each type once the graph is large enough; most change over time, so that pixels do."""
_MEMORY_RULES = frozenset({"graph_state", "scratch"})
_SIGNAL_BOUND = 20.0
"""Wide ranges are drawn within this bound: larger values would not find more faults."""


@st.composite
def graphs(draw: st.DrawFn, *, max_nodes: int = 10) -> GraphDocument:
    """Draw a valid document, from the root backwards, with up to two unreachable nodes.

    It grows freely up to `max_nodes` nodes; then only leaves are added.
    """
    builder = _Builder(draw, max_nodes)
    builder.add(draw(st.sampled_from(["LedOutput", "LedOutputMirror"])))
    kinds = [name for name, spec in load_node_types().nodes.items() if spec.behaviour != "root"]
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=2)):
        builder.add(kind)
    document = GraphDocument(name="drawn", nodes=builder.nodes)
    validation = validate(document.model_dump(mode="json"))
    # Stateful nodes may exceed the memory limit; the test must see all other violations.
    assume(not any(v.rule in _MEMORY_RULES for v in validation.violations if v.severity == "error"))
    return document


def param_values(spec: ParamSpec) -> st.SearchStrategy[Any]:
    """Return a strategy for the allowed values of a parameter."""
    unit = st.floats(0.0, 1.0, width=32)
    color = st.lists(unit, min_size=3, max_size=3)
    if spec.kind in {"float", "int"}:
        low = max(spec.min or 0.0, -_SIGNAL_BOUND)
        high = min(spec.max or 0.0, _SIGNAL_BOUND)
        edges = st.sampled_from([low, high, spec.default])
        return st.integers(int(low), int(high)) if spec.kind == "int" else edges | st.floats(low, high)
    by_kind: dict[str, st.SearchStrategy[Any]] = {
        "bool": st.booleans(),
        "enum": st.sampled_from(spec.choices or ("",)),
        "string": st.from_regex(r"[a-z]{1,8}", fullmatch=True),
        "color": color,
        "colors": st.lists(color, min_size=2, max_size=4),
        "ints": st.lists(st.integers(0, 179), min_size=1, max_size=4),
    }
    return by_kind[spec.kind]


class _Builder:
    def __init__(self, draw: st.DrawFn, max_nodes: int) -> None:
        self._draw = draw
        self._left = max_nodes
        self.nodes: list[GraphNode] = []

    def add(self, kind: str, wanted: str = "led_buffer<vec3>") -> str:
        """Add a node that outputs `wanted`, and its sources: required inputs always, others at random."""
        self._left -= 1
        spec = load_node_types().nodes[kind]
        inputs: dict[str, str] = {}
        for port in spec.inputs.values():
            if port.required or self._draw(st.booleans()):
                inputs[port.name] = self._source(wanted if port.type == "led_buffer<T>" else port.type)
        node = GraphNode(id=f"n{len(self.nodes)}", type=kind, inputs=inputs, params=self._params(spec))
        self.nodes.append(node)
        return node.id

    def _source(self, wanted: str) -> str:
        found = self._outputs(wanted)
        if found and self._draw(st.integers(0, 3)) == 0:
            return self._draw(st.sampled_from(found))
        if self._left <= 0:
            return found[-1] if found else self.add(_LEAVES[wanted], wanted)
        kind, output = self._draw(st.sampled_from(_producers(wanted)))
        name = self.add(kind, wanted)
        return name if output == load_node_types().nodes[kind].default_output else f"{name}.{output}"

    def _outputs(self, wanted: str) -> Sequence[str]:
        drafts = {
            n.id: NodeDraft(n.id, load_node_types().nodes[n.type], n.inputs, n.params) for n in self.nodes
        }
        known = KnownNodes(drafts, drafts.keys())
        nodes = {name: check_node(draft, known, ViolationCollector()) for name, draft in drafts.items()}
        return [".".join(ref) for ref, kind in output_types(nodes).items() if is_assignable(kind, wanted)]

    def _params(self, spec: NodeType) -> dict[str, Any]:
        drawn = {
            name: self._draw(param_values(param))
            for name, param in spec.params.items()
            if self._draw(st.booleans())
        }
        if spec.type == "ParamF":
            low, value, high = sorted(
                drawn.get(key, spec.params[key].default) for key in ("min", "default", "max")
            )
            return {"min": low, "default": value, "max": high}
        return drawn


@cache
def _producers(wanted: str) -> list[tuple[str, str]]:
    """Return the node types and outputs that can be connected to a port of this type."""
    return [
        (name, output)
        for name, spec in load_node_types().nodes.items()
        for output, kind in spec.outputs.items()
        if is_assignable(kind, wanted) or (kind == "led_buffer<T>" and wanted.startswith("led_buffer"))
    ]
