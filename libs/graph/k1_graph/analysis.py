"""Numbers and orders of a graph: metrics, walks and the critical path."""

import networkx as nx

from k1_contracts.graph import GraphAnalysis, GraphMetrics, Outdegree
from k1_graph.graph import Graph
from k1_graph.memory import scratch_peak


def metrics(graph: Graph) -> GraphMetrics:
    """Size, shape and memory of the graph as it stands."""
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
    """Topological order of a frame, breadth- and depth-first walks from the root, the costliest path."""
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
    """The chain of nodes with the largest total cost, and that cost in microseconds.

    Each edge carries the cost of the node it leads to; a helper source, the empty id, carries that of the first node.
    """
    weighted: nx.DiGraph[str] = nx.DiGraph()
    for node in graph.nodes.values():
        weighted.add_edge("", node.id, weight=node.cost_us)
        for ref in node.inputs.values():
            weighted.add_edge(ref.node, node.id, weight=node.cost_us)
    path = nx.dag_longest_path(weighted, weight="weight")[1:]
    return path, sum(graph.nodes[node].cost_us for node in path)
