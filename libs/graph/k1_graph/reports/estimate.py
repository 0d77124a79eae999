"""Estimates the run time and memory of a graph on a device, and the risk of exceeding the frame budget."""

from k1_contracts.graph import GraphEstimate, NodeCost, RuntimeRisk
from k1_graph.costs import cpu_pct, scratch_peak, total_us
from k1_graph.graph import Graph
from k1_graph.limits import FRAME_BUDGET_MS, FRAME_MS, RED_FRAME_CPU_PCT, RED_MS
from k1_graph.reports.analysis import critical_path

_TRUST = {"measured": 0.95, "stated": 0.6}


def runtime_risk(est_ms: float, frame_cpu_pct: float) -> RuntimeRisk:
    """Return amber above the frame budget of 8 ms, red above 10 ms or 80 % of the frame, else green."""
    if est_ms > RED_MS or frame_cpu_pct > RED_FRAME_CPU_PCT:
        return "red"
    return "amber" if est_ms > FRAME_BUDGET_MS else "green"


def estimate(graph: Graph) -> GraphEstimate:
    """Return time and memory of a frame. The confidence is the trust in each node's cost, weighted by that cost."""
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
