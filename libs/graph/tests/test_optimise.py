"""What the optimiser finds, by name; that pixels stay the same is in test_properties."""

from typing import Any

import pytest

from k1_graph.optimise import optimise
from k1_graph.testing import graph_of, node

STRIP = node("strip", "LedOutput", {"color": "fill"})


def shrunk(*nodes: dict[str, Any]) -> tuple[set[str], list[tuple[str, str]]]:
    found = optimise(graph_of(*nodes))
    return set(found.graph.nodes), [(rewrite.kind, rewrite.node) for rewrite in found.rewrites]


def test_constants_are_folded_through_to_a_colour() -> None:
    """Arithmetic of constants becomes one constant colour."""
    names, rewrites = shrunk(
        node("a", "ParamF", default=0.25),
        node("b", "Mul", {"a": "a"}, b=2.0),
        node("tint", "Hsv", {"h": "b"}),
        node("fill", "Fill", {"color": "tint"}),
        STRIP,
    )
    assert names == {"tint", "fill", "strip"}
    assert ("constant", "b") in rewrites


def test_a_constant_that_drives_a_parameter_becomes_the_parameter() -> None:
    """The port is freed, limited to the parameter's range."""
    found = optimise(
        graph_of(
            node("deep", "ParamF", default=5.0, max=9.0),
            node("t", "Time"),
            node("tint", "Hsv", {"h": "t"}),
            node("flat", "Fill", {"color": "tint"}),
            node("fill", "BufferPersist", {"src": "flat", "decay": "deep"}),
            STRIP,
        )
    )
    assert set(found.graph.nodes) == {"t", "tint", "flat", "fill", "strip"}
    assert found.graph.nodes["fill"].params["decay"] == 1.0


def test_equal_nodes_are_merged_also_stateful_and_commuted_ones() -> None:
    """Two pulses on the same beat are one, a + b is b + a."""
    names, _ = shrunk(
        node("beat", "MapBeat"),
        node("p1", "BeatPulse", {"beat": "beat"}),
        node("p2", "BeatPulse", {"beat": "beat"}),
        node("t", "Time"),
        node("s1", "Add", {"a": "p1", "b": "t"}),
        node("s2", "Add", {"a": "t", "b": "p2"}),
        node("tint", "Hsv", {"h": "s1", "v": "s2"}),
        node("fill", "Fill", {"color": "tint"}),
        STRIP,
    )
    assert len(names & {"p1", "p2"}) == 1
    assert len(names & {"s1", "s2"}) == 1


def test_unreachable_nodes_are_dropped() -> None:
    """What does not reach the strip is not run."""
    tint = node("tint", "ParamColor")
    names, rewrites = shrunk(
        tint, node("fill", "Fill", {"color": "tint"}), node("idle", "AudioSpectrum"), STRIP
    )
    assert names == {"tint", "fill", "strip"}
    assert rewrites == [("dead", "idle")]


@pytest.mark.parametrize(
    "middle",
    [
        [node("fill", "Shift", {"src": "flat"}, offset=0.0)],
        [node("fill", "Downsample", {"src": "flat"}, factor=1)],
        [node("fill", "BufferPersist", {"src": "flat"}, decay=0.0)],
        [node("fill", "ComposeLayers", {"base": "flat", "overlay": "flat"}, opacity=0.0)],
        [node("fill", "ComposeLayers", {"base": "flat", "overlay": "flat"}, enabled=False)],
        [node("fill", "DotRender", {"base_buf": "flat"}, level=0.0)],
        [
            node("m", "Mirror", {"src": "flat"}, axis="flip"),
            node("fill", "Mirror", {"src": "m"}, axis="flip"),
        ],
    ],
)
def test_identities_disappear(middle: list[dict[str, Any]]) -> None:
    """Settings that change nothing leave the source and the strip."""
    t = node("t", "Time")
    tint = node("tint", "Hsv", {"h": "t"})
    names, _ = shrunk(t, tint, node("flat", "Fill", {"color": "tint"}), *middle, STRIP)
    assert names == {"t", "tint", "flat", "strip"}


def test_a_node_that_does_something_stays() -> None:
    """A flip alone and a dot over nothing are no identities."""
    nodes = [
        node("dots", "DotRender", level=0.0),
        node("fill", "Mirror", {"src": "dots"}, axis="flip"),
        STRIP,
    ]
    names, rewrites = shrunk(*nodes)
    assert names == {"dots", "fill", "strip"}
    assert rewrites == []
