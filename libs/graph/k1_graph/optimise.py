"""The optimiser: fewer nodes, the same pixels.

Passes run in turn until none changes anything: constants are folded, identities removed, equal nodes merged, and what
does not reach the root is dropped. Nodes that remember are merged and removed too: all begin with the same state, and
nothing in a graph is random.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import cast

import networkx as nx
import numpy as np

from k1_contracts.graph import Rewrite
from k1_graph.catalogue import ParamSpec, ParamValue, catalogue
from k1_graph.executor.kernels import PLAIN, run_kernel
from k1_graph.executor.values import Chunk
from k1_graph.graph import Graph, Node, Ref, assemble

_CONSTANT_TYPES = {"float": "ParamF", "color": "ParamColor"}
_COMMUTATIVE = frozenset({"Add", "Mul"})
_ONE_FRAME = Chunk(0, 1)


@dataclass(frozen=True, slots=True)
class Optimised:
    """The smaller graph and what was done to reach it, in order."""

    graph: Graph
    rewrites: list[Rewrite]


def optimise(graph: Graph) -> Optimised:
    """Fold, simplify, merge and drop until nothing more changes. The result renders the same pixels."""
    work = _Work(graph)
    passes: list[Callable[[_Work], bool]] = [_drop_dead, _fold_constants, _remove_identities, _merge_common]
    while sum(step(work) for step in passes):  # a sum, so that every pass runs in every round
        pass
    return Optimised(work.graph, work.rewrites)


@dataclass(slots=True)
class _Work:
    graph: Graph
    rewrites: list[Rewrite] = field(default_factory=list[Rewrite])

    def put(self, node: Node) -> None:
        """Replace a node by one that reads no more than it did, so the order stays right."""
        self.graph = Graph(MappingProxyType({**self.graph.nodes, node.id: node}), self.graph.root)

    def drop(self, names: AbstractSet[str], moved: Mapping[Ref, Ref] = MappingProxyType({})) -> None:
        """Remove nodes; readers of a key of `moved` read its value instead."""
        self.graph = assemble(
            replace(node, inputs=MappingProxyType({p: moved.get(r, r) for p, r in node.inputs.items()}))
            for node in self.graph.nodes.values()
            if node.id not in names
        )

    def note(self, kind: str, node: str, detail: str) -> None:
        self.rewrites.append(Rewrite.model_validate({"kind": kind, "node": node, "detail": detail}))


def _drop_dead(work: _Work) -> bool:
    live = nx.ancestors(work.graph.flow(), work.graph.root) | {work.graph.root}
    dead = work.graph.nodes.keys() - live
    for name in sorted(dead):
        work.note("dead", name, "does not reach the strip")
    if dead:
        work.drop(dead)
    return bool(dead)


def _fold_constants(work: _Work) -> bool:
    changed = False
    for name in list(work.graph.nodes):
        node = work.graph.nodes[name]
        folded = _folded(work.graph, node) or _with_fixed_params(work.graph, node)
        if folded is not None:
            work.put(folded)
            work.note("constant", name, _fold_detail(node, folded))
            changed = True
    return changed


def _fold_detail(before: Node, after: Node) -> str:
    if before.spec.type != after.spec.type:
        return f"{before.spec.type} of constants is {after.spec.type} {after.params['default']}"
    ports = sorted(before.inputs.keys() - after.inputs.keys())
    return ", ".join(f"{port} is {after.params[port]}" for port in ports)


def _folded(graph: Graph, node: Node) -> Node | None:
    """A constant in place of a pure node whose inputs never change."""
    kinds = list(node.spec.outputs.values())
    if node.spec.behaviour != "pure" or len(kinds) != 1 or kinds[0] not in _CONSTANT_TYPES:
        return None
    sources = [graph.nodes[ref.node] for ref in node.inputs.values()]
    if any(source.spec.behaviour != "constant" for source in sources):
        return None
    connected = {
        port: run_kernel(PLAIN[source.spec.type](source.params), source, {}, _ONE_FRAME)[0]
        for port, source in zip(node.inputs, sources, strict=True)
    }
    value = run_kernel(PLAIN[node.spec.type](node.params), node, connected, _ONE_FRAME)[0]
    return _constant(node.id, _CONSTANT_TYPES[kinds[0]], cast("float | list[float]", value[0].tolist()))


def _constant(name: str, kind: str, value: float | list[float]) -> Node:
    spec = catalogue().nodes[kind]
    params: dict[str, ParamValue] = {key: param.default for key, param in spec.params.items()}
    params |= {"name": name, "default": value}
    if isinstance(value, float):
        params |= {"min": min(0.0, value), "max": max(1.0, value)}
    return Node(name, spec, MappingProxyType({}), MappingProxyType(params))


def _with_fixed_params(graph: Graph, node: Node) -> Node | None:
    """The node with ports that a constant drives turned into plain parameters."""
    fixed: dict[str, ParamValue] = {}
    for port, ref in node.inputs.items():
        source = graph.nodes[ref.node]
        if node.spec.inputs[port].drives and source.spec.behaviour == "constant":
            given = source.params["seed_value" if source.spec.type == "RngSeed" else "default"]
            fixed[port] = _limited(node.spec.params[port], given)
    if not fixed:
        return None
    inputs = {port: ref for port, ref in node.inputs.items() if port not in fixed}
    return replace(node, inputs=MappingProxyType(inputs), params=MappingProxyType({**node.params, **fixed}))


def _limited(spec: ParamSpec, value: ParamValue) -> ParamValue:
    if spec.kind == "bool":
        return value
    limited = float(np.clip(cast("float", value), cast("float", spec.min), cast("float", spec.max)))
    return int(limited) if spec.kind == "int" else limited


def _remove_identities(work: _Work) -> bool:
    moved: dict[Ref, Ref] = {}
    for node in work.graph.nodes.values():
        found = _identity(work.graph, node)
        if found is not None:
            source, why = found
            moved[Ref(node.id, node.spec.default_output or "")] = moved.get(source, source)
            work.note("identity", node.id, why)
    if moved:
        work.drop({ref.node for ref in moved}, moved)
    return bool(moved)


def _identity(graph: Graph, node: Node) -> tuple[Ref, str] | None:
    """The value that a node passes on unchanged, if it does."""
    rule = _NEUTRAL.get(node.spec.type)
    if rule is not None:
        port, neutral = rule
        held = all(name not in node.inputs and node.params[name] == value for name, value in neutral.items())
        if held and port in node.inputs:
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
"""Parameters with which a node passes a port on, exactly, in floating point too."""


def _double_flip(graph: Graph, node: Node) -> tuple[Ref, str] | None:
    inner = graph.nodes[node.inputs["src"].node]
    if inner.spec.type == "Mirror" and inner.params["axis"] == "flip":
        return inner.inputs["src"], f"it flips back what {inner.id} flipped"
    return None


def _merge_common(work: _Work) -> bool:
    first: dict[object, str] = {}
    moved: dict[Ref, Ref] = {}
    merged: set[str] = set()
    for node in work.graph.nodes.values():
        if node.id == work.graph.root:
            continue
        keeper = first.setdefault(_signature(node, moved), node.id)
        if keeper != node.id:
            moved.update({Ref(node.id, output): Ref(keeper, output) for output in node.spec.outputs})
            merged.add(node.id)
            work.note("common", node.id, f"computes the same as {keeper}")
    if merged:
        work.drop(merged, moved)
    return bool(merged)


def _signature(node: Node, moved: Mapping[Ref, Ref]) -> object:
    inputs = [(port, moved.get(ref, ref)) for port, ref in node.inputs.items()]
    if node.spec.type in _COMMUTATIVE and len(inputs) > 1:
        inputs = [("", ref) for _, ref in inputs]
    params = [(key, value) for key, value in node.params.items() if _matters(node, key)]
    return node.spec.type, tuple(sorted(inputs)), repr(sorted(params, key=lambda item: item[0]))


def _matters(node: Node, param: str) -> bool:
    """Labels and slider ends do not change a value, nor does a parameter that a port drives."""
    return param not in node.inputs and not (
        node.spec.behaviour == "constant" and param in {"name", "min", "max"}
    )
