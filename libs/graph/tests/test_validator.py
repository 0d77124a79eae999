"""The validator finds everything at once and survives anything."""

import json
import math
import time
from collections import Counter
from difflib import get_close_matches
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_graph.errors import GraphInvalidError
from k1_graph.testing import document, graph_of, node
from k1_graph.validation import document_reader
from k1_graph.validation.validator import parse_graph, validate

GOOD = [
    node("beat", "MapBeat"),
    node("pulse", "BeatPulse", {"beat": "beat"}),
    node("tint", "Hsv", {"v": "pulse"}),
    node("fill", "Fill", {"color": "tint"}),
    node("strip", "LedOutput", {"color": "fill"}),
]


def rules(value: object) -> list[tuple[str, str | None]]:
    return [(violation.rule, violation.node) for violation in validate(value).violations]


def with_nodes(*extra: dict[str, Any]) -> dict[str, Any]:
    return document(*GOOD, *extra)


def test_a_good_graph_has_no_violation() -> None:
    """The smallest useful show passes without a warning."""
    assert validate(document(*GOOD)).model_dump() == {
        "ok": True,
        "errors": 0,
        "warnings": 0,
        "violations": [],
    }


def test_everything_is_reported_at_once() -> None:
    """Independent faults do not hide one another, and errors come first."""
    report = validate(
        with_nodes(
            node("Bad-Id", "Time"),
            node("lost", "Tme"),
            node("b", "BufferPersist", {"src": "tint", "decay": "nowhere"}, decay=2.0),
            node("c", "Contrast", {"x": "beat", "y": "beat"}, amont=1),
        )
    )
    found = {(violation.rule, violation.node) for violation in report.violations}
    assert {
        ("node_id", "nodes[5]"),
        ("unknown_type", "lost"),
        ("type_mismatch", "b"),
        ("unknown_source", "b"),
        ("param_value", "b"),
        ("type_mismatch", "c"),
        ("unknown_port", "c"),
        ("unknown_param", "c"),
        ("unreachable", "b"),
        ("node_state", "b"),
    } <= found
    severities = [violation.severity for violation in report.violations]
    assert severities == sorted(severities)
    assert report.errors == severities.count("error")
    assert all(violation.message and violation.fix for violation in report.violations)


def test_a_fix_names_the_closest_allowed_name() -> None:
    """For a misspelt type, port or parameter the fix names the closest valid one."""
    report = validate(
        with_nodes(node("x", "BeatPuls", {"beat": "beat"}), node("y", "BeatPulse", {"bet": "beat"}, decay=3))
    )
    fixes = {violation.rule: violation.fix for violation in report.violations}
    assert "BeatPulse" in fixes["unknown_type"]
    assert "beat" in fixes["unknown_port"]
    assert "decay_ms" in fixes["unknown_param"]


def test_a_type_mismatch_says_which_node_helps() -> None:
    """A colour into a buffer port asks for Fill."""
    broken = [*GOOD[:3], node("strip", "LedOutput", {"color": "tint"})]
    (violation,) = [v for v in validate(document(*broken)).violations if v.rule == "type_mismatch"]
    assert "Fill" in violation.fix


@pytest.mark.parametrize(
    ("nodes", "path"),
    [
        ([node("a", "Add", {"a": "b"}), node("b", "Add", {"a": "a"})], "a -> b -> a"),
        ([node("a", "Add", {"a": "a"})], "a -> a"),
    ],
)
def test_cycles_are_named(nodes: list[dict[str, Any]], path: str) -> None:
    """The message contains the path of the cycle."""
    (violation,) = [v for v in validate(with_nodes(*nodes)).violations if v.rule == "cycle"]
    assert path in violation.message


def test_roots_are_counted() -> None:
    """No root is an error, and so is a second one."""
    assert ("root", None) in rules(document(*GOOD[:-1]))
    assert ("root", "strip_too") in rules(with_nodes(node("strip_too", "LedOutputMirror", {"color": "fill"})))


def test_a_root_has_no_output() -> None:
    """Reading from the root is reported as an unknown source."""
    assert ("unknown_source", "x") in rules(with_nodes(node("x", "Blur", {"src": "strip"})))


def test_second_outputs_are_named_and_checked() -> None:
    """`section.drop` is a float; an output that does not exist is refused."""
    section = node("section", "MapSection")
    assert rules(with_nodes(section, node("x", "Sqrt", {"x": "section.drop"}))) == [
        ("unreachable", "section"),
        ("unreachable", "x"),
    ]
    assert ("unknown_source", "x") in rules(with_nodes(section, node("x", "Sqrt", {"x": "section.dop"})))


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("ParamF", {"default": math.nan}),
        ("ParamF", {"default": math.inf}),
        ("ParamF", {"default": 2.0}),
        ("ParamF", {"default": True}),
        ("ParamF", {"default": "1"}),
        ("ParamF", {"default": 10**400}),
        ("ParamF", {"name": "x" * 10_000}),
        ("ParamF", {"name": "bell\u0007"}),
        ("ParamColor", {"default": [0.0, 1.0]}),
        ("ParamColor", {"default": [0.0, 1.0, 2.0]}),
        ("ParamColor", {"default": "red"}),
        ("ConfigToggle", {"default": 1}),
        ("PositionAccumulator", {"mode": "sideways"}),
        ("PositionAccumulator", {"mode": ["wrap"]}),
        ("RngSeed", {"seed_value": 1.5}),
        ("RngSeed", {"seed_value": -1}),
    ],
)
def test_bad_parameter_values_are_refused(kind: str, params: dict[str, Any]) -> None:
    """Wrong type, out of range, not finite, too long: each is a param_value violation."""
    assert ("param_value", "x") in rules(with_nodes(node("x", kind, **params)))


def test_lists_are_checked_item_by_item() -> None:
    """Dots beyond the strip and palettes of one colour are refused."""
    dots = node("dots", "DotRender", {"base_buf": "fill"}, indices=[3, 180])
    tint = node("ramp", "GradientMap", {"index": "pulse"}, palette="custom", stops=[[0, 0, 0]])
    assert {("param_value", "dots"), ("param_value", "ramp")} <= set(rules(with_nodes(dots, tint)))


def test_state_limits() -> None:
    """Over 1 KiB a node warns; over 2.5 KiB it fails unless its node type allows it; 16 KiB bound the graph."""
    scroll = [node(f"s{i}", "SpriteScroll", {"src": "fill"}) for i in range(4)]
    report = validate(with_nodes(*scroll))
    by_rule = {(v.rule, v.severity) for v in report.violations}
    assert ("node_state", "warning") in by_rule
    assert ("node_state", "error") not in by_rule
    assert ("graph_state", "error") in by_rule


def layered(count: int, *, joined_late: bool) -> dict[str, Any]:
    """`count` buffers that either all wait for the end, or are joined one after the other."""
    nodes = [*GOOD[:4]]
    blurs = [node(f"blur_{i}", "Blur", {"src": "fill"}, radius=1 + i % 5) for i in range(count)]
    if joined_late:
        nodes += blurs
        level = [f"blur_{i}" for i in range(count)]
        depth = 0
        while len(level) > 1:
            pairs = [(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
            names = [f"join_{depth}_{i}" for i in range(len(pairs))]
            nodes += [
                node(n, "ComposeLayers", {"base": a, "overlay": b})
                for n, (a, b) in zip(names, pairs, strict=True)
            ]
            level = [*names, *level[len(pairs) * 2 :]]
            depth += 1
        last = level[0]
    else:
        last = "fill"
        for i, blur in enumerate(blurs):
            nodes += [blur, node(f"join_{i}", "ComposeLayers", {"base": last, "overlay": f"blur_{i}"})]
            last = f"join_{i}"
    return document(*nodes, node("strip", "LedOutput", {"color": last}))


def test_scratch_counts_real_lifetimes() -> None:
    """Many buffers in a row fit, as each dies early; a chain of readers that keep all alive does not."""
    assert validate(layered(20, joined_late=False)).ok
    chain = [node("b_0", "Blur", {"src": "fill"})]
    chain += [node(f"b_{i}", "Blur", {"src": f"b_{i - 1}"}) for i in range(1, 9)]
    joins = [node("j_8", "ComposeLayers", {"base": "b_8", "overlay": "b_7"})]
    joins += [
        node(f"j_{i}", "ComposeLayers", {"base": f"j_{i + 1}", "overlay": f"b_{i - 1}"})
        for i in range(7, 0, -1)
    ]
    report = validate(document(*GOOD[:4], *chain, *joins, node("strip", "LedOutput", {"color": "j_1"})))
    assert "scratch" in {violation.rule for violation in report.violations if violation.severity == "error"}


def test_size_and_budget_warn() -> None:
    """More than 50 nodes and more than 8 ms warn, naming the costliest node."""
    blurs = [node(f"b{i}", "Blur", {"src": "fill"}, radius=5) for i in range(50)]
    report = validate(with_nodes(*blurs))
    warnings = {
        violation.rule: violation for violation in report.violations if violation.severity == "warning"
    }
    assert {"node_count", "frame_budget"} <= set(warnings)
    assert "Blur" in warnings["frame_budget"].fix
    assert report.ok


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "graph",
        {"nodes": "x"},
        {"nodes": [None, 3, [], {"id": {}, "type": [], "inputs": 3, "params": [1]}]},
        {
            "name": "x",
            "version": ["v1.0"],
            "nodes": [{"id": "a", "type": "Time", "inputs": {"a": 1}, "meta": 3}],
        },
        {"name": "\ud800", "version": "v1.0", "meta": 1, "nodes": [{"id": "\ud800", "type": "\ud800"}]},
        {1: 2, None: 3},
        {
            "name": "x",
            "version": "v1.0",
            "nodes": [{"id": "a", "type": "DotRender", "inputs": None, "params": None}],
        },
        {"name": "x", "version": "v1.0", "nodes": [{"id": "a" * 1_000_000, "type": "T" * 1_000_000}]},
        {
            "name": "x",
            "version": "v1.0",
            "nodes": [{"id": "a", "type": "Time", "params": {str(i): 1 for i in range(5000)}}],
        },
    ],
)
def test_hostile_shapes_are_violations_never_exceptions(value: object) -> None:
    """Any input gives a report that can be written as JSON and read by people."""
    report = validate(value)
    assert not report.ok
    assert len(json.dumps(report.model_dump(mode="json"))) < 200_000
    assert report.to_json()


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_large_and_deep_documents_are_answered_quickly(count: int) -> None:
    """A chain of thousands of nodes costs less than a few seconds and gives at most 201 violations."""
    nodes = [node("n0", "Time"), *(node(f"n{i}", "Add", {"a": f"n{i - 1}"}) for i in range(1, count))]
    began = time.process_time()
    report = validate(document(*nodes))
    assert time.process_time() - began < 5.0
    assert len(report.violations) <= 201
    assert not report.ok


def test_a_thousand_wrong_references_are_answered_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suggestions do not make the validator quadratic: twice the nodes, twice the names to compare."""
    compared: Counter[int] = Counter()

    def comparing(count: int) -> None:
        def near(name: str, choices: list[str], n: int) -> list[str]:
            compared[count] += len(choices)
            return get_close_matches(name, choices, n=n)

        monkeypatch.setattr(document_reader, "get_close_matches", near)

    for count in (250, 500):
        comparing(count)
        nodes = [node(f"node_{i}", "Addd", {"a": f"nod_{i}"}) for i in range(count)]
        nodes += [node(f"other_{i}", "Add", {"a": f"nod_{i}"}) for i in range(count)]
        report = validate(document(*nodes))
        assert report.violations[-1].rule == "more"
    assert 0 < compared[500] <= 2 * compared[250]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a", "b", "strip"]) | JSON,
        "type": st.sampled_from(["Add", "Fill", "Mirror", "LedOutput", "ParamF", "Shift"]) | JSON,
        "inputs": st.dictionaries(
            st.sampled_from(["a", "src", "color"]), st.sampled_from(["a", "b", "b.x", ""]) | JSON
        )
        | JSON,
        "params": st.dictionaries(st.sampled_from(["default", "min", "axis", "offset"]), JSON) | JSON,
        "meta": JSON,
    },
)


_NEARLY = st.fixed_dictionaries(
    {
        "name": st.just("my_show") | JSON,
        "version": st.just("v1.0") | JSON,
        "nodes": st.just([]) | st.just(GOOD) | st.lists(FIELDS) | JSON,
    },
    optional={"colour": JSON, "meta": JSON},
)
"""Documents with much that is right, so that rules which only speak when others are silent are met, too."""


@settings(max_examples=100)
@given(_NEARLY | JSON)
def test_any_json_is_answered(value: object) -> None:
    """No JSON value makes the validator raise, and what it passes can be compiled."""
    report = validate(value)
    assert report.errors + report.warnings == 0 or report.violations
    if report.ok:
        parse_graph(value)


def test_an_unknown_field_hides_nothing() -> None:
    """A warning beside an empty list of nodes: the missing root is still an error."""
    report = validate(document() | {"colour": "green"})
    assert {violation.rule for violation in report.violations} >= {"unknown_field", "root"}
    assert not report.ok


def test_compiling_an_invalid_graph_raises_with_the_report() -> None:
    """The message has the first violation; the error carries all of them."""
    with pytest.raises(GraphInvalidError, match="No node drives the strip") as caught:
        graph_of(node("t", "Time"))
    assert caught.value.validation.errors == 1
