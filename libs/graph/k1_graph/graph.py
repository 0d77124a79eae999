"""Models a validated graph: references are resolved, parameters complete, nodes in the order of computation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import networkx as nx

from k1_contracts.graph import GraphDocument, GraphNode
from k1_graph.node_types.definitions import NodeType, ParamValue


class Ref(NamedTuple):
    """A reference to an output of a node."""

    node: str
    output: str


@dataclass(frozen=True, slots=True)
class Node:
    """A node; `params` is complete, `inputs` contains only the connected ports."""

    id: str
    spec: NodeType
    inputs: Mapping[str, Ref]
    params: Mapping[str, ParamValue]

    @property
    def cost_us(self) -> float:
        return self.spec.cost(self.params)

    @property
    def state_bytes(self) -> int:
        return self.spec.state(self.params)


@dataclass(frozen=True, slots=True)
class Graph:
    """A validated graph: nodes by id, each after its sources, and the id of the root."""

    nodes: Mapping[str, Node]
    root: str

    def flow(self) -> "nx.DiGraph[str]":
        """Return the data flow: an edge from each source to each node that reads it."""
        return data_flow(self.nodes.values())


def build_graph(nodes: Iterable[Node]) -> Graph:
    """Build a graph from valid, acyclic nodes with exactly one root."""
    by_id = {node.id: node for node in nodes}
    ordered = MappingProxyType({name: by_id[name] for name in frame_order(by_id)})
    return Graph(ordered, next(node.id for node in by_id.values() if node.spec.behaviour == "root"))


def data_flow(nodes: Iterable[Node]) -> "nx.DiGraph[str]":
    """Return the data flow between nodes as a networkx graph."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for node in nodes:
        graph.add_node(node.id)
        graph.add_edges_from((ref.node, node.id) for ref in node.inputs.values())
    return graph


def frame_order(nodes: Mapping[str, Node]) -> list[str]:
    """Return the node ids in the order of computation, each node after its sources.

    The order is depth first from the roots, so that a buffer is used soon after it is filled. Ports are followed
    in the order of the node type, and roots by id, so the order does not depend on the order in the document.
    """
    sources: nx.DiGraph[str] = nx.DiGraph()
    roots = {name for name, node in nodes.items() if node.spec.behaviour == "root"}
    sources.add_nodes_from([*sorted(roots), *sorted(nodes.keys() - roots)])
    for node in nodes.values():
        sources.add_edges_from((node.id, node.inputs[p].node) for p in node.spec.inputs if p in node.inputs)
    return list(nx.dfs_postorder_nodes(sources))


def to_document(graph: Graph, name: str, meta: dict[str, object] | None = None) -> GraphDocument:
    """Convert a graph to a document; parameters with their default value are omitted."""
    nodes = [_document_node(graph, node) for node in graph.nodes.values()]
    return GraphDocument(name=name, meta=meta, nodes=nodes)


def _document_node(graph: Graph, node: Node) -> GraphNode:
    inputs: dict[str, str] = {}
    for port, ref in node.inputs.items():
        first = graph.nodes[ref.node].spec.default_output
        inputs[port] = ref.node if ref.output == first else f"{ref.node}.{ref.output}"
    params = {key: value for key, value in node.params.items() if value != node.spec.params[key].default}
    return GraphNode.model_validate(
        {"id": node.id, "type": node.spec.type, "inputs": inputs, "params": params}
    )
