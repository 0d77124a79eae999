"""Tests the executor: chunks of any size, songs without anything, maps that are too long, approximations."""

import numpy as np
import pytest

from k1_contracts.genesis import GenesisMap
from k1_graph.errors import MapUnusableError
from k1_graph.executor.kernels import make_kernel, run_kernel
from k1_graph.executor.rendering import list_approximations, render
from k1_graph.executor.values import Chunk
from k1_graph.graph import Node, Ref
from k1_graph.node_types.definitions import load_node_types
from k1_graph.song import sample_song
from k1_graph.testing import graph_of, node, synthetic_map
from libs.graph.tests.node_runs import SONG, Array


def moving_inputs(kind: str, frames: int) -> dict[str, Array]:
    """Something that changes every frame on every port that a node has."""
    rng = np.random.default_rng(11)
    made: dict[str, Array] = {}
    for port in load_node_types().nodes[kind].inputs.values():
        shape = {"color": (3,), "audio_spectrum": (64,), "led_buffer<float>": (180,)}.get(port.type, ())
        if port.type in {"led_buffer<vec3>", "led_buffer<T>"}:
            shape = (180, 3)
        values = rng.random((frames, *shape))
        made[port.name] = values.astype(np.float32) if shape and shape != (64,) else values
    return made


@pytest.mark.parametrize("kind", load_node_types().nodes)
@pytest.mark.parametrize("size", [1, 7, 32])
def test_every_node_gives_the_same_in_chunks_of_any_size(kind: str, size: int) -> None:
    """Bit for bit, with every port moving: state is carried over and no rounding depends on the chunk."""
    spec = load_node_types().nodes[kind]
    params = {name: param.default for name, param in spec.params.items()}
    if "smoothing" in params:
        params["smoothing"] = 0.7
    inputs = moving_inputs(kind, 40)
    made = Node("it", spec, {port: Ref("source", "out") for port in inputs}, params)
    whole = run_kernel(make_kernel(made, SONG), made, inputs, Chunk(0, 40))
    kernel = make_kernel(made, SONG)
    parts = []
    for start in range(0, 40, size):
        chunk = Chunk(start, min(start + size, 40))
        cut = {port: values[chunk.window] for port, values in inputs.items()}
        parts.append(run_kernel(kernel, made, cut, chunk))
    if spec.behaviour == "constant":
        assert all(np.array_equal(part[0], whole[0]) for part in parts)
        return
    for index, output in enumerate(whole):
        assert np.array_equal(output, np.concatenate([part[index] for part in parts]))


def test_a_song_of_one_frame_and_one_without_anything_run() -> None:
    """Empty layers, no beats and no sections give constant pixels, never an error."""
    body = synthetic_map(10.0).model_dump(mode="json")
    layers = body["layers"]
    layers["rhythm"] = {"beat_grid_ms": [], "downbeat_ms": [], "beat_strength": [], "tempo_curve": []}
    layers["frequency"] = {"bass": [], "mids": [], "highs": []}
    layers["dynamics"]["rms"] = []
    layers["spectral"]["chroma"] = [[] for _ in range(12)]
    layers["annotations"] = {"sections": [], "drops": [], "silence": []}
    song = sample_song(GenesisMap.model_validate(body))
    assert song.frames == 1
    graph = graph_of(
        node("beat", "MapBeat"),
        node("pulse", "BeatPulse", {"beat": "beat"}),
        node("phase", "TempoTracker"),
        node("section", "MapSection"),
        node("tint", "Hsv", {"h": "phase", "s": "section.energy", "v": "pulse"}),
        node("fill", "Fill", {"color": "tint"}),
        node("strip", "LedOutput", {"color": "fill"}),
    )
    assert np.concatenate(list(render(graph, song))).max() == 0


def test_maps_that_are_too_long_are_rejected() -> None:
    """A map of several days raises an error with a message instead of filling the memory."""
    genesis = synthetic_map(1_000.0)
    metrics = genesis.global_metrics.model_copy(update={"duration_ms": 1e9})
    with pytest.raises(MapUnusableError, match="up to 6 hours"):
        sample_song(genesis.model_copy(update={"global_metrics": metrics}))


def test_microphone_nodes_are_named_as_approximations() -> None:
    """A graph that only reads the map has no such note."""
    tint = [node("tint", "Hsv", {"v": "ear"}), node("fill", "Fill", {"color": "tint"})]
    strip = node("strip", "LedOutput", {"color": "fill"})
    (note,) = list_approximations(graph_of(node("ear", "AudioSnapshot"), *tint, strip))
    assert "AudioSnapshot" in note
    assert list_approximations(graph_of(node("ear", "MapEnvelope"), *tint, strip)) == []
