"""The node types are the single source: documentation, kernels and costs agree with them."""

from pathlib import Path

import numpy as np
import pytest

from k1_graph.executor.kernels import SONG_INDEPENDENT, make_kernel, run_kernel
from k1_graph.executor.sources import SONG_SOURCES
from k1_graph.executor.values import Chunk
from k1_graph.graph import Node
from k1_graph.node_types.definitions import is_assignable, load_node_types
from k1_graph.node_types.documentation import render_markdown
from k1_graph.song import sample_song
from k1_graph.testing import synthetic_map
from k1_graph.validation.parameter_rules import find_problem

DOCS = Path(__file__).parents[3] / "docs" / "graph-nodes.md"
SONG = sample_song(synthetic_map(1_000.0))
SAMPLES = {
    "float": np.full(3, 0.5),
    "audio_envelope": np.full(3, 0.5),
    "audio_spectrum": np.full((3, 64), 0.5),
    "beat_event": np.array([0.0, 1.0, 0.0]),
    "bool": np.array([True]),
    "color": np.full((3, 3), 0.5, dtype=np.float32),
    "rng_seed": np.array([3]),
    "led_buffer<vec3>": np.full((3, 180, 3), 0.5, dtype=np.float32),
    "led_buffer<float>": np.full((3, 180), 0.5, dtype=np.float32),
    "led_buffer<T>": np.full((3, 180, 3), 0.5, dtype=np.float32),
}
SHAPES = {
    "float": (),
    "int": (),
    "time": (),
    "audio_envelope": (),
    "beat_event": (),
    "param<float>": (),
    "param<bool>": (),
    "rng_seed": (),
    "param<color>": (3,),
    "color": (3,),
    "audio_spectrum": (64,),
    "chroma_vector": (12,),
    "led_buffer<float>": (180,),
    "led_buffer<vec3>": (180, 3),
    "led_buffer<T>": (180, 3),
}


def test_the_written_page_is_up_to_date() -> None:
    """docs/graph-nodes.md is what the generator writes."""
    assert DOCS.read_text(encoding="utf-8") == render_markdown()


def test_every_node_type_has_a_kernel_and_every_kernel_a_node_type() -> None:
    """The executor has a kernel for exactly the node types."""
    assert set(load_node_types().nodes) == set(SONG_INDEPENDENT) | set(SONG_SOURCES)
    assert not set(SONG_INDEPENDENT) & set(SONG_SOURCES)


@pytest.mark.parametrize("kind", load_node_types().nodes)
def test_a_kernel_gives_the_outputs_of_its_node_type(kind: str) -> None:
    """With default parameters every output has the shape of its type, and stays finite."""
    spec = load_node_types().nodes[kind]
    params = {name: param.default for name, param in spec.params.items()}
    node = Node("it", spec, {}, params)
    inputs = {port.name: SAMPLES[port.type] for port in spec.inputs.values()}
    outputs = run_kernel(make_kernel(node, SONG), node, inputs, Chunk(0, 3))
    if spec.behaviour == "root":
        assert [output.shape for output in outputs] == [(3, 180, 3)]
        return
    expected = [SHAPES[output] for output in spec.outputs.values()]
    assert expected == [output.shape[1:] for output in outputs]
    assert all(len(output) in {1, 3} and np.isfinite(output).all() for output in outputs)


@pytest.mark.parametrize("kind", load_node_types().nodes)
def test_defaults_are_allowed_and_factors_are_parameters(kind: str) -> None:
    """A node without parameters is valid, and its cost and state can be computed."""
    spec = load_node_types().nodes[kind]
    assert [name for name, param in spec.params.items() if find_problem(param, param.default)] == []
    params = {name: param.default for name, param in spec.params.items()}
    assert spec.cost(params) > 0
    assert spec.state(params) >= 0
    assert (spec.behaviour == "stateful") <= (spec.state(params) > 0)
    assert spec.about.endswith(".")


def test_costs_and_states_follow_their_parameters() -> None:
    """Blur costs 100 us a LED of radius, MovingAverage keeps 4 bytes a frame."""
    nodes = load_node_types().nodes
    assert nodes["Blur"].cost({"radius": 5}) == 500.0
    assert nodes["PerlinNoise"].cost({"octaves": 3}) == 36.0
    assert nodes["MovingAverage"].state({"window_size": 32}) == 128
    assert nodes["BufferPersist"].state({}) == 2160


@pytest.mark.parametrize(
    ("source", "wanted", "fits"),
    [
        ("int", "float", True),
        ("float", "int", False),
        ("time", "float", True),
        ("audio_envelope", "float", True),
        ("param<float>", "float", True),
        ("param<color>", "color", True),
        ("param<bool>", "bool", True),
        ("vec3", "color", True),
        ("color", "led_buffer<vec3>", False),
        ("audio_spectrum", "float", False),
        ("beat_event", "float", False),
        ("float", "audio_envelope", False),
        ("led_buffer<float>", "led_buffer<T>", True),
        ("led_buffer<float>", "led_buffer<vec3>", False),
        ("param<float>", "color", False),
    ],
)
def test_only_the_stated_types_convert(source: str, wanted: str, *, fits: bool) -> None:
    """int widens, parameters read as their type, colour never becomes a buffer by itself."""
    assert is_assignable(source, wanted) is fits
