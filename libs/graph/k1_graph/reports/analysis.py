"""Analyses the structure of a graph: metrics, traversal orders and the critical path."""

import networkx as nx

from k1_contracts.graph import GraphAnalysis, GraphMetrics, Outdegree
from k1_graph.costs import scratch_peak
from k1_graph.graph import Graph


def metrics(graph: Graph) -> GraphMetrics:
    """Return size, shape and memory of a graph."""
    flow = graph.flow()
    degrees = [degree for _, degree in flow.out_degree()]
    return GraphMetrics(
        nodes=len(graph.nodes),
        edges=flow.number_of_edges(),
        outdegree=Outdegree(min=min(degrees), max=max(degrees), avg=round(sum(degrees) / len(degrees), 3)),
        is_dag=nx.is_directed_acyclic_graph(flow),
        disconnected_components=nx.number_weakly_connected_components(flow),
        depth=nx.dag_longest_path_length(flow) + 1,
        state_bytes=sum(node.state_bytes for node in graph.nodes.values()),
        scratch_peak_bytes=scratch_peak(graph.nodes),
    )


def analyse(graph: Graph) -> GraphAnalysis:
    """Return the topological order, breadth-first and depth-first orders from the root, and the critical path."""
    upstream = graph.flow().reverse()
    path, cost = critical_path(graph)
    return GraphAnalysis(
        topological_order=list(graph.nodes),
        bfs=[graph.root, *(node for _, node in nx.bfs_edges(upstream, graph.root, sort_neighbors=sorted))],
        dfs=list(nx.dfs_preorder_nodes(upstream, graph.root, sort_neighbors=sorted)),
        critical_path=path,
        critical_path_us=cost,
    )


def critical_path(graph: Graph) -> tuple[list[str], float]:
    """Return the path with the largest total cost, and that cost in microseconds.

    An edge has the cost of its target as weight. An artificial source with an empty id gives the first node a weight.
    """
    weighted: nx.DiGraph[str] = nx.DiGraph()
    for node in graph.nodes.values():
        weighted.add_edge("", node.id, weight=node.cost_us)
        for ref in node.inputs.values():
            weighted.add_edge(ref.node, node.id, weight=node.cost_us)
    path = nx.dag_longest_path(weighted, weight="weight")[1:]
    return path, sum(graph.nodes[node].cost_us for node in path)
