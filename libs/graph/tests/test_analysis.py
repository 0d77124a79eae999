"""Metrics, estimate, walks and impact of small graphs, worked out by hand."""

import json

import pytest

from k1_graph.reports.analysis import analyse, metrics
from k1_graph.reports.estimate import estimate, runtime_risk
from k1_graph.reports.impact import impact
from k1_graph.testing import graph_of, node

NODES = [
    node("beat", "MapBeat"),
    node("pulse", "BeatPulse", {"beat": "beat"}),
    node("tint", "Hsv", {"v": "pulse"}),
    node("fill", "Fill", {"color": "tint"}),
    node("trail", "BufferPersist", {"src": "fill", "decay": "pulse"}),
    node("strip", "LedOutput", {"color": "trail"}),
]
GRAPH = graph_of(*NODES)


def test_metrics() -> None:
    """Counts, degrees, depth and bytes; two buffers live at once while the trail is computed."""
    assert json.loads(metrics(GRAPH).to_json()) == {
        "nodes": 6,
        "edges": 6,
        "outdegree": {"min": 0, "max": 2, "avg": 1.0},
        "isDag": True,
        "disconnectedComponents": 1,
        "depth": 6,
        "state_bytes": 8 + 8 + 2160,
        "scratch_peak_bytes": 2 * 2160,
    }


def test_traversal_orders_and_critical_path() -> None:
    """Traversals start at the root, against the data flow; the critical path is the most expensive path."""
    found = analyse(GRAPH)
    assert found.topological_order == ["beat", "pulse", "tint", "fill", "trail", "strip"]
    assert found.bfs == ["strip", "trail", "fill", "pulse", "tint", "beat"]
    assert found.dfs == ["strip", "trail", "fill", "tint", "pulse", "beat"]
    assert found.critical_path == ["beat", "pulse", "tint", "fill", "trail", "strip"]
    assert found.critical_path_us == 2 + 3 + 5 + 75 + 125 + 90


def test_estimate() -> None:
    """Costs add up; all of them are stated, not measured, and the confidence says so."""
    found = estimate(GRAPH)
    assert found.est_ms == pytest.approx(0.3)
    assert found.cpu_pct == pytest.approx(3.75)
    assert found.mem_kb == pytest.approx((2176 + 4320) / 1024, abs=1e-3)
    assert found.confidence == 0.6
    assert found.risk == "green"
    assert sum(cost.cost_us for cost in found.nodes) == 300


@pytest.mark.parametrize(
    ("est_ms", "frame_cpu_pct", "risk"),
    [(8.0, 40, "green"), (8.01, 40, "amber"), (10.0, 50, "amber"), (10.01, 50, "red"), (5.0, 80.1, "red")],
)
def test_risk_has_the_bounds_of_the_design(est_ms: float, frame_cpu_pct: float, risk: str) -> None:
    """Amber above 8 ms, red above 10 ms or 80 % CPU."""
    assert runtime_risk(est_ms, frame_cpu_pct) == risk


def test_an_unchanged_graph_has_no_impact() -> None:
    """Nothing added, removed or changed."""
    found = impact(GRAPH, GRAPH)
    assert found.changed_nodes == found.added_nodes == found.removed_nodes == found.changed_params == []
    assert found.closure_depth == 0


def test_a_changed_parameter_reaches_everything_downstream() -> None:
    """The closure follows the data flow; its depth is the longest distance from the change."""
    changed = graph_of(NODES[0], node("pulse", "BeatPulse", {"beat": "beat"}, decay_ms=90.0), *NODES[2:])
    found = json.loads(impact(GRAPH, changed, template_version="1.0.0", confidence=0.8).to_json())
    assert found["changed_params"] == [{"node": "pulse", "param": "decay_ms", "from": 200.0, "to": 90.0}]
    assert found["changedNodes"] == ["fill", "pulse", "strip", "tint", "trail"]
    assert found["impactOrder"] == ["pulse", "tint", "fill", "trail", "strip"]
    assert found["closureDepth"] == 2
    assert found["template_version"] == "1.0.0"


def test_added_removed_and_rewired_nodes_are_distinguished() -> None:
    """An added node changes its reader's input; a node of another type is removed and added."""
    changed = graph_of(
        NODES[0],
        NODES[1],
        node("tint", "Color", {"r": "pulse"}),
        NODES[3],
        node("soft", "Blur", {"src": "fill"}),
        node("strip", "LedOutput", {"color": "soft"}),
    )
    found = impact(GRAPH, changed)
    assert found.added_nodes == ["soft", "tint"]
    assert found.removed_nodes == ["tint", "trail"]
    assert [(c.node, c.before, c.after) for c in found.changed_inputs] == [("strip", "trail.out", "soft.out")]
    assert found.changed_nodes == ["fill", "soft", "strip", "tint"]


def test_against_an_empty_device_every_node_is_new() -> None:
    """Without a running graph every node counts as added."""
    assert impact(None, GRAPH).added_nodes == sorted(GRAPH.nodes)
