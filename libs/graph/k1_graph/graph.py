"""A graph ready for use: references resolved, parameters filled in, in the order in which a frame computes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import networkx as nx

from k1_contracts.graph import GraphDocument, GraphNode
from k1_graph.catalogue import NodeSpec, ParamValue


class Ref(NamedTuple):
    """An output of a node."""

    node: str
    output: str


@dataclass(frozen=True, slots=True)
class Node:
    """One node; `params` is complete, `inputs` holds the connected ports only."""

    id: str
    spec: NodeSpec
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
    """Nodes by id, each after its sources, and the id of the root."""

    nodes: Mapping[str, Node]
    root: str

    def flow(self) -> "nx.DiGraph[str]":
        """An edge from each source to each node that reads it."""
        return flow(self.nodes.values())


def assemble(nodes: Iterable[Node]) -> Graph:
    """Order valid, acyclic nodes with one root among them into a graph."""
    by_id = {node.id: node for node in nodes}
    ordered = MappingProxyType({name: by_id[name] for name in frame_order(by_id)})
    return Graph(ordered, next(node.id for node in by_id.values() if node.spec.behaviour == "root"))


def flow(nodes: Iterable[Node]) -> "nx.DiGraph[str]":
    """The data flow between nodes as a networkx graph."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for node in nodes:
        graph.add_node(node.id)
        graph.add_edges_from((ref.node, node.id) for ref in node.inputs.values())
    return graph


def frame_order(nodes: Mapping[str, Node]) -> list[str]:
    """Depth first from the roots, each node after its sources: buffers are used soon after they are filled.

    Ports are followed in the catalogue's order and equals by id, so the order depends on the graph alone.
    """
    sources: nx.DiGraph[str] = nx.DiGraph()
    roots = {name for name, node in nodes.items() if node.spec.behaviour == "root"}
    sources.add_nodes_from([*sorted(roots), *sorted(nodes.keys() - roots)])
    for node in nodes.values():
        sources.add_edges_from((node.id, node.inputs[p].node) for p in node.spec.inputs if p in node.inputs)
    return list(nx.dfs_postorder_nodes(sources))


def to_document(graph: Graph, name: str, meta: dict[str, object] | None = None) -> GraphDocument:
    """The graph as a document again; parameters that hold their default are left out."""
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
