"""What the optimiser finds, by name; that pixels stay the same is in test_properties."""

from typing import Any

import numpy as np
import pytest

from k1_graph.executor.kernels import SONG_INDEPENDENT, run_kernel
from k1_graph.executor.values import Chunk
from k1_graph.graph import Node, Ref
from k1_graph.node_types.definitions import load_node_types
from k1_graph.optimiser import _NEUTRAL, optimise
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
    """The input is removed; the parameter gets its value, limited to its range."""
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
    """A node that does not reach the root is removed."""
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


@pytest.mark.parametrize("kind", _NEUTRAL)
def test_neutral_parameters_pass_the_port_on_exactly(kind: str) -> None:
    """Every rule of the optimiser holds bit for bit, whatever the other ports carry."""
    port, neutral = _NEUTRAL[kind]
    spec = load_node_types().nodes[kind]
    rng = np.random.default_rng(3)
    shapes = {"float": (9,), "color": (9, 3), "led_buffer<vec3>": (9, 180, 3), "led_buffer<T>": (9, 180, 3)}
    inputs = {
        name: rng.random(shapes[spec.inputs[name].type]).astype(
            np.float64 if spec.inputs[name].type == "float" else np.float32
        )
        for name in spec.inputs
        if name == port or (spec.inputs[name].required and name not in neutral)
    }
    params = {name: neutral.get(name, param.default) for name, param in spec.params.items()}
    made = Node("it", spec, {name: Ref("source", "out") for name in inputs}, params)
    (passed_on,) = run_kernel(SONG_INDEPENDENT[kind](params), made, inputs, Chunk(0, 9))
    assert np.array_equal(passed_on, inputs[port])


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
