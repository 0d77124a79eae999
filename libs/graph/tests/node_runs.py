"""Runs one node alone, on a song or on given inputs."""

from typing import Any

import numpy as np
import numpy.typing as npt

from k1_graph.executor.kernels import make_kernel, run_kernel
from k1_graph.executor.values import Chunk
from k1_graph.graph import Node, Ref
from k1_graph.node_types.definitions import load_node_types
from k1_graph.song import sample_song
from k1_graph.testing import synthetic_map

Array = npt.NDArray[Any]


GENESIS = synthetic_map(4_000.0, bpm=120.0)


SONG = sample_song(GENESIS)


RNG = np.random.default_rng(5)


PICTURE = RNG.random((6, 180, 3)).astype(np.float32)


def run(
    kind: str, inputs: dict[str, Array] | None = None, /, frames: int = 6, **params: Any
) -> tuple[Array, ...]:
    """One node alone over the first frames; connected ports are those in `inputs`."""
    spec = load_node_types().nodes[kind]
    complete = {name: params.get(name, param.default) for name, param in spec.params.items()}
    made = Node("it", spec, {port: Ref("source", "out") for port in inputs or {}}, complete)
    return run_kernel(make_kernel(made, SONG), made, inputs or {}, Chunk(0, frames))


def out(kind: str, inputs: dict[str, Array] | None = None, /, frames: int = 6, **params: Any) -> Array:
    return run(kind, inputs, frames, **params)[0]


def signal(*values: float) -> Array:
    return np.array(values)
