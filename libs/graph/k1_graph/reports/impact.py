"""Compares two graphs: what changed, and which nodes a change affects."""

from collections.abc import Iterable, Mapping

import networkx as nx

from k1_contracts.graph import GraphImpact, InputChange, ParamChange
from k1_graph.graph import Graph, Node


def impact(
    running: Graph | None,
    graph: Graph,
    *,
    template_version: str | None = None,
    confidence: float | None = None,
) -> GraphImpact:
    """Compare `graph` with the one `running` on a device (None for an empty device), node by node, by id.

    A node whose type changed counts as removed and added. `changedNodes` is the closure: every node that changed
    or is downstream of one that changed, in `graph`.
    """
    before = running.nodes if running else {}
    after = graph.nodes
    retyped = {n for n in before.keys() & after.keys() if before[n].spec.type != after[n].spec.type}
    added = (after.keys() - before.keys()) | retyped
    removed = (before.keys() - after.keys()) | retyped
    kept = sorted((after.keys() & before.keys()) - retyped)
    params = [change for name in kept for change in _param_changes(before[name], after[name])]
    inputs = [change for name in kept for change in _input_changes(before, after, name)]
    changed = added | {change.node for change in params} | {change.node for change in inputs}
    distance = _distances(graph, changed)
    return GraphImpact(
        added_nodes=sorted(added),
        removed_nodes=sorted(removed),
        changed_params=params,
        changed_inputs=inputs,
        changed_nodes=sorted(distance),
        closure_depth=max(distance.values(), default=0),
        impact_order=[name for name in graph.nodes if name in distance],
        template_version=template_version,
        confidence=confidence,
    )


def _param_changes(old: Node, new: Node) -> Iterable[ParamChange]:
    for name, value in new.params.items():
        if value != old.params[name]:
            yield ParamChange.model_validate(
                {"node": new.id, "param": name, "from": old.params[name], "to": value}
            )


def _input_changes(before: Mapping[str, Node], after: Mapping[str, Node], name: str) -> Iterable[InputChange]:
    old = before[name].inputs
    new = after[name].inputs
    for port in after[name].spec.inputs:
        if old.get(port) != new.get(port):
            source, target = (".".join(side[port]) if port in side else None for side in (old, new))
            yield InputChange.model_validate({"node": name, "port": port, "from": source, "to": target})


def _distances(graph: Graph, changed: Iterable[str]) -> dict[str, int]:
    """Return for each affected node its distance, in edges, from the closest changed node."""
    flow = graph.flow()
    return {node: depth for depth, layer in enumerate(nx.bfs_layers(flow, sorted(changed))) for node in layer}
