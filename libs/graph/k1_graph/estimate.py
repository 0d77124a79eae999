"""What a frame of a graph costs on a device: catalogue costs summed, and the risk against the frame budget."""

from collections.abc import Iterable

from k1_contracts.graph import GraphEstimate, NodeCost, RuntimeRisk
from k1_graph.analysis import critical_path
from k1_graph.graph import Graph, Node
from k1_graph.limits import FRAME_BUDGET_MS, FRAME_MS, RED_FRAME_CPU_PCT, RED_MS
from k1_graph.memory import scratch_peak

_TRUST = {"measured": 0.95, "stated": 0.6}


def total_us(nodes: Iterable[Node]) -> float:
    """Microseconds a frame. Nodes run one after another: a K1 renders on one core."""
    return sum(node.cost_us for node in nodes)


def runtime_risk(est_ms: float, frame_cpu_pct: float) -> RuntimeRisk:
    """Amber above the frame budget of 8 ms; red above 10 ms or above 80 % of the frame (as telemetry measures it)."""
    if est_ms > RED_MS or frame_cpu_pct > RED_FRAME_CPU_PCT:
        return "red"
    return "amber" if est_ms > FRAME_BUDGET_MS else "green"


def estimate(graph: Graph) -> GraphEstimate:
    """Cost and memory of a frame. Its confidence is the trust in each node's cost, weighted by that cost."""
    nodes = list(graph.nodes.values())
    total = total_us(nodes)
    est_ms = total / 1000.0
    frame_cpu_pct = 100.0 * est_ms / FRAME_MS
    path, path_us = critical_path(graph)
    state = sum(node.state_bytes for node in nodes)
    trust = sum(node.cost_us * _TRUST[node.spec.cost_source] for node in nodes) / total
    return GraphEstimate(
        est_ms=round(est_ms, 4),
        cpu_pct=cpu_pct(est_ms),
        mem_kb=round((state + scratch_peak(graph.nodes)) / 1024.0, 3),
        confidence=round(trust, 3),
        risk=runtime_risk(est_ms, frame_cpu_pct),
        frame_cpu_pct=round(frame_cpu_pct, 2),
        critical_path=path,
        critical_path_ms=round(path_us / 1000.0, 4),
        nodes=[
            NodeCost(node=n.id, type=n.spec.type, cost_us=n.cost_us, state_bytes=n.state_bytes) for n in nodes
        ],
    )


def cpu_pct(est_ms: float) -> float:
    """Per cent of the 8 ms frame budget."""
    return round(100.0 * est_ms / FRAME_BUDGET_MS, 2)
