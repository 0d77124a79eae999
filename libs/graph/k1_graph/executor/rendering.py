"""Renders a graph over a song, in chunks of frames, to the bytes that a strip would get."""

from collections.abc import Iterator

import numpy as np

from k1_graph.executor.kernels import make_kernel, run_kernel
from k1_graph.executor.values import Array, Chunk, broadcast_frames
from k1_graph.graph import Graph, Node, Ref
from k1_graph.song import SampledSong

CHUNK_FRAMES = 256
"""A buffer of this many frames is half a megabyte and stays in a core's cache."""


def render(
    graph: Graph,
    song: SampledSong,
    *,
    chunk_frames: int = CHUNK_FRAMES,
    start: int = 0,
    stop: int | None = None,
    held_node: str | None = None,
) -> Iterator[Array]:
    """Yield the pixels of frames start to stop in chunks, each (n, 180, 3) uint8 sRGB.

    The pixels do not depend on `chunk_frames`. Nodes begin with the state of the first frame, also when
    `start` is later. `held_node` outputs its mean over each chunk instead of its values, and no events; this shows
    whether that node causes a change of the pixels.
    """
    kernels = {node.id: make_kernel(node, song) for node in graph.nodes.values()}
    last_reader = _last_readers(graph)
    end = song.frames if stop is None else min(stop, song.frames)
    for first in range(start, end, chunk_frames):
        chunk = Chunk(first, min(first + chunk_frames, end))
        values: dict[Ref, Array] = {}
        for node in graph.nodes.values():
            connected = {port: values[ref] for port, ref in node.inputs.items()}
            outputs = run_kernel(kernels[node.id], node, connected, chunk)
            if node.id == graph.root:
                yield broadcast_frames(outputs[0], chunk)
                break
            if node.id == held_node:
                outputs = _hold_at_mean(node, outputs)
            values.update(zip((Ref(node.id, name) for name in node.spec.outputs), outputs, strict=True))
            for ref in last_reader.get(node.id, ()):
                del values[ref]


def list_approximations(graph: Graph) -> list[str]:
    """Return sentences that say what the simulation of this graph only approximates."""
    microphone_types = sorted({node.spec.type for node in graph.nodes.values() if node.spec.microphone})
    if not microphone_types:
        return []
    return [
        f"{', '.join(microphone_types)} listen to a microphone on the device; here the song's map stands in for it."
    ]


def _last_readers(graph: Graph) -> dict[str, list[Ref]]:
    """Return for each node the values that no later node reads."""
    last: dict[Ref, str] = {}
    for node in graph.nodes.values():
        last.update({Ref(node.id, name): node.id for name in node.spec.outputs})
        last.update(dict.fromkeys(node.inputs.values(), node.id))
    readers: dict[str, list[Ref]] = {}
    for ref, reader in last.items():
        readers.setdefault(reader, []).append(ref)
    return readers


def _hold_at_mean(node: Node, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
    kinds = node.spec.outputs.values()
    return tuple(
        np.zeros_like(value)
        if kind == "beat_event"
        else value.mean(axis=0, keepdims=True).astype(value.dtype)
        for value, kind in zip(outputs, kinds, strict=True)
    )
