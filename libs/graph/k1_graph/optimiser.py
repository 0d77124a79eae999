"""Optimises a graph: fewer nodes, the same pixels.

The passes (dead-node elimination, constant folding, identity removal, common subexpression elimination) run in turn
until none changes the graph. Stateful nodes are merged and removed too: all begin with the same state, and nothing in
a graph is random.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import cast

import networkx as nx
import numpy as np

from k1_contracts.graph import Rewrite
from k1_graph.executor.kernels import SONG_INDEPENDENT, run_kernel
from k1_graph.executor.values import Chunk
from k1_graph.graph import Graph, Node, Ref, build_graph
from k1_graph.node_types.definitions import ParamSpec, ParamValue, load_node_types

_CONSTANT_TYPES = {"float": "ParamF", "color": "ParamColor"}
_COMMUTATIVE = frozenset({"Add", "Mul"})
_ONE_FRAME = Chunk(0, 1)


@dataclass(frozen=True, slots=True)
class Optimised:
    """An optimised graph and the rewrites that led to it, in order."""

    graph: Graph
    rewrites: list[Rewrite]


def optimise(graph: Graph) -> Optimised:
    """Apply all passes until nothing changes. The result renders the same pixels."""
    rewriter = _Rewriter(graph)
    passes: list[Callable[[_Rewriter], bool]] = [
        _remove_dead_nodes,
        _fold_constants,
        _remove_identities,
        _merge_equal_nodes,
    ]
    while sum(step(rewriter) for step in passes):  # a sum, so that every pass runs in every round
        pass
    return Optimised(rewriter.graph, rewriter.rewrites)


@dataclass(slots=True)
class _Rewriter:
    graph: Graph
    rewrites: list[Rewrite] = field(default_factory=list[Rewrite])

    def replace_node(self, node: Node) -> None:
        """Replace a node by one that has no new sources, so the order of the nodes stays valid."""
        self.graph = Graph(MappingProxyType({**self.graph.nodes, node.id: node}), self.graph.root)

    def remove_nodes(
        self, names: AbstractSet[str], replacements: Mapping[Ref, Ref] = MappingProxyType({})
    ) -> None:
        """Remove nodes; readers of an output in `replacements` read its replacement."""
        self.graph = build_graph(
            replace(
                node, inputs=MappingProxyType({p: replacements.get(r, r) for p, r in node.inputs.items()})
            )
            for node in self.graph.nodes.values()
            if node.id not in names
        )

    def record(self, kind: str, node: str, detail: str) -> None:
        self.rewrites.append(Rewrite.model_validate({"kind": kind, "node": node, "detail": detail}))


def _remove_dead_nodes(rewriter: _Rewriter) -> bool:
    live = nx.ancestors(rewriter.graph.flow(), rewriter.graph.root) | {rewriter.graph.root}
    dead = rewriter.graph.nodes.keys() - live
    for name in sorted(dead):
        rewriter.record("dead", name, "does not reach the strip")
    if dead:
        rewriter.remove_nodes(dead)
    return bool(dead)


def _fold_constants(rewriter: _Rewriter) -> bool:
    changed = False
    for name in list(rewriter.graph.nodes):
        node = rewriter.graph.nodes[name]
        folded = _as_constant(rewriter.graph, node) or _with_constant_params(rewriter.graph, node)
        if folded is not None:
            rewriter.replace_node(folded)
            rewriter.record("constant", name, _describe_folding(node, folded))
            changed = True
    return changed


def _describe_folding(before: Node, after: Node) -> str:
    if before.spec.type != after.spec.type:
        return f"{before.spec.type} of constants is {after.spec.type} {after.params['default']}"
    ports = sorted(before.inputs.keys() - after.inputs.keys())
    return ", ".join(f"{port} is {after.params[port]}" for port in ports)


def _as_constant(graph: Graph, node: Node) -> Node | None:
    """Return a constant node for a pure node whose inputs are all constant, else None."""
    kinds = list(node.spec.outputs.values())
    if node.spec.behaviour != "pure" or len(kinds) != 1 or kinds[0] not in _CONSTANT_TYPES:
        return None
    sources = [graph.nodes[ref.node] for ref in node.inputs.values()]
    if any(source.spec.behaviour != "constant" for source in sources):
        return None
    connected = {
        port: run_kernel(SONG_INDEPENDENT[source.spec.type](source.params), source, {}, _ONE_FRAME)[0]
        for port, source in zip(node.inputs, sources, strict=True)
    }
    value = run_kernel(SONG_INDEPENDENT[node.spec.type](node.params), node, connected, _ONE_FRAME)[0]
    return _constant(node.id, _CONSTANT_TYPES[kinds[0]], cast("float | list[float]", value[0].tolist()))


def _constant(name: str, kind: str, value: float | list[float]) -> Node:
    spec = load_node_types().nodes[kind]
    params: dict[str, ParamValue] = {key: param.default for key, param in spec.params.items()}
    params |= {"name": name, "default": value}
    if isinstance(value, float):
        params |= {"min": min(0.0, value), "max": max(1.0, value)}
    return Node(name, spec, MappingProxyType({}), MappingProxyType(params))


def _with_constant_params(graph: Graph, node: Node) -> Node | None:
    """Return the node with constant inputs turned into parameters, or None when there are none."""
    fixed: dict[str, ParamValue] = {}
    for port, ref in node.inputs.items():
        source = graph.nodes[ref.node]
        if node.spec.inputs[port].drives and source.spec.behaviour == "constant":
            constant = source.params["seed_value" if source.spec.type == "RngSeed" else "default"]
            fixed[port] = _clip(node.spec.params[port], constant)
    if not fixed:
        return None
    inputs = {port: ref for port, ref in node.inputs.items() if port not in fixed}
    return replace(node, inputs=MappingProxyType(inputs), params=MappingProxyType({**node.params, **fixed}))


def _clip(spec: ParamSpec, value: ParamValue) -> ParamValue:
    if spec.kind == "bool":
        return value
    limited = float(np.clip(cast("float", value), cast("float", spec.min), cast("float", spec.max)))
    return int(limited) if spec.kind == "int" else limited


def _remove_identities(rewriter: _Rewriter) -> bool:
    replacements: dict[Ref, Ref] = {}
    for node in rewriter.graph.nodes.values():
        found = _identity(rewriter.graph, node)
        if found is not None:
            source, why = found
            replacements[Ref(node.id, node.spec.default_output or "")] = replacements.get(source, source)
            rewriter.record("identity", node.id, why)
    if replacements:
        rewriter.remove_nodes({ref.node for ref in replacements}, replacements)
    return bool(replacements)


def _identity(graph: Graph, node: Node) -> tuple[Ref, str] | None:
    """Return the source that a node passes on unchanged and the reason, or None."""
    rule = _NEUTRAL.get(node.spec.type)
    if rule is not None:
        port, neutral = rule
        is_neutral = all(
            name not in node.inputs and node.params[name] == value for name, value in neutral.items()
        )
        if is_neutral and port in node.inputs:
            settings = ", ".join(f"{key} {value:g}" for key, value in neutral.items())
            return node.inputs[port], f"{node.spec.type} with {settings} changes nothing"
    if node.spec.type == "ComposeLayers" and node.params["enabled"] is False and "enabled" not in node.inputs:
        return node.inputs["base"], "ComposeLayers is switched off"
    if node.spec.type == "Mirror" and node.params["axis"] == "flip":
        return _double_flip(graph, node)
    return None


_NEUTRAL: dict[str, tuple[str, dict[str, float]]] = {
    "Add": ("a", {"b": 0.0}),
    "Mul": ("a", {"b": 1.0}),
    "Mix": ("a", {"amount": 0.0}),
    "Lerp": ("t", {"from": 0.0, "to": 1.0}),
    "LowPass": ("signal", {"alpha": 1.0}),
    "MovingAverage": ("signal", {"window_size": 1}),
    "Desaturate": ("color", {"strength": 0.0}),
    "ForceSaturation": ("color", {"strength": 0.0}),
    "PaletteSelector": ("color", {"strength": 0.0}),
    "Shift": ("src", {"offset": 0.0}),
    "Downsample": ("src", {"factor": 1}),
    "ComposeLayers": ("base", {"opacity": 0.0}),
    "DotRender": ("base_buf", {"level": 0.0}),
    "BufferPersist": ("src", {"decay": 0.0}),
}
"""For each node type the port that it passes on, exactly also in floating point, with these parameters."""


def _double_flip(graph: Graph, node: Node) -> tuple[Ref, str] | None:
    inner = graph.nodes[node.inputs["src"].node]
    if inner.spec.type == "Mirror" and inner.params["axis"] == "flip":
        return inner.inputs["src"], f"it flips back what {inner.id} flipped"
    return None


def _merge_equal_nodes(rewriter: _Rewriter) -> bool:
    first: dict[object, str] = {}
    replacements: dict[Ref, Ref] = {}
    merged: set[str] = set()
    for node in rewriter.graph.nodes.values():
        if node.id == rewriter.graph.root:
            continue
        kept = first.setdefault(_signature(node, replacements), node.id)
        if kept != node.id:
            replacements.update({Ref(node.id, output): Ref(kept, output) for output in node.spec.outputs})
            merged.add(node.id)
            rewriter.record("common", node.id, f"computes the same as {kept}")
    if merged:
        rewriter.remove_nodes(merged, replacements)
    return bool(merged)


def _signature(node: Node, replacements: Mapping[Ref, Ref]) -> object:
    inputs = [(port, replacements.get(ref, ref)) for port, ref in node.inputs.items()]
    if node.spec.type in _COMMUTATIVE and len(inputs) > 1:
        inputs = [("", ref) for _, ref in inputs]
    params = [(key, value) for key, value in node.params.items() if _affects_output(node, key)]
    return node.spec.type, tuple(sorted(inputs)), repr(sorted(params, key=lambda item: item[0]))


def _affects_output(node: Node, param: str) -> bool:
    """Return whether a parameter affects the outputs: names, slider ends and connected parameters do not."""
    return param not in node.inputs and not (
        node.spec.behaviour == "constant" and param in {"name", "min", "max"}
    )
