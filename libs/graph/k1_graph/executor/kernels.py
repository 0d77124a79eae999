"""Creates and runs the kernel of a node: prepares its inputs and limits its outputs."""

from collections.abc import Callable, Mapping

import numpy as np

from k1_graph.executor.buffers import BUFFERS
from k1_graph.executor.colours import COLOURS
from k1_graph.executor.signals import PURE_SIGNALS, STATEFUL_SIGNALS
from k1_graph.executor.sources import CONSTANTS, SONG_SOURCES
from k1_graph.executor.stateful_buffers import STATEFUL_BUFFERS
from k1_graph.executor.values import Array, Chunk, Inputs, Kernel, Params, number
from k1_graph.graph import Node
from k1_graph.limits import LEDS, SIGNAL_LIMIT
from k1_graph.node_types.definitions import NodeType
from k1_graph.song import SampledSong

_HALF = LEDS // 2


def _to_bytes(buffer: Array) -> Array:
    return (np.clip(buffer, 0.0, 1.0) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)


def _output(_params: Params) -> Kernel:
    def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        return (_to_bytes(inputs["color"]),)

    return kernel


def _output_mirror(_params: Params) -> Kernel:
    def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        pairs = inputs["color"].reshape(-1, _HALF, 2, 3)
        half = _to_bytes((pairs[:, :, 0] + pairs[:, :, 1]) * np.float32(0.5))
        return (np.concatenate([half[:, ::-1], half], axis=1),)

    return kernel


SONG_INDEPENDENT: dict[str, Callable[[Params], Kernel]] = {
    **CONSTANTS,
    **PURE_SIGNALS,
    **STATEFUL_SIGNALS,
    **COLOURS,
    **BUFFERS,
    **STATEFUL_BUFFERS,
    "LedOutput": _output,
    "LedOutputMirror": _output_mirror,
}
"""Kernels that depend only on their inputs; SONG_SOURCES has those that read the song."""


def make_kernel(node: Node, song: SampledSong) -> Kernel:
    """Create a kernel for a node, with the state of the first frame."""
    if node.spec.type in SONG_SOURCES:
        return SONG_SOURCES[node.spec.type](node.params, song)
    return SONG_INDEPENDENT[node.spec.type](node.params)


def run_kernel(kernel: Kernel, node: Node, connected: Mapping[str, Array], chunk: Chunk) -> tuple[Array, ...]:
    """Compute the outputs of a node: parameters replace unconnected ports, and numbers saturate."""
    outputs = kernel({**_unconnected_values(node), **_clip_driving_values(node.spec, connected)}, chunk)
    if node.spec.behaviour == "root":
        return outputs
    kinds = node.spec.outputs.values()
    return tuple(
        np.clip(value, -SIGNAL_LIMIT, SIGNAL_LIMIT) if kind == "float" else value
        for value, kind in zip(outputs, kinds, strict=True)
    )


def _unconnected_values(node: Node) -> dict[str, Array]:
    ports = (port.name for port in node.spec.inputs.values() if port.drives and port.name not in node.inputs)
    return {port: np.array([number(node.params[port])]) for port in ports}


def _clip_driving_values(spec: NodeType, connected: Mapping[str, Array]) -> dict[str, Array]:
    """Return the connected values; a value that drives a parameter is clipped to its range."""
    values = dict(connected)
    for port in connected:
        if spec.inputs[port].drives and (param := spec.params[port]).kind != "bool":
            values[port] = np.clip(values[port], param.min, param.max)
    return values
