"""Defines the values that flow between nodes while a graph runs, and the type of a kernel.

Over a chunk of n frames a signal is (n,) float64, a colour (n, 3), a spectrum (n, 64), a chroma vector (n, 12), a buffer
(n, 180) or (n, 180, 3) float32. A constant value has length 1 instead of n and broadcasts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from k1_graph.node_types.definitions import ParamValue

Array = npt.NDArray[Any]
Inputs = Mapping[str, Array]
Params = Mapping[str, ParamValue]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range of frames of the song: `start` included, `stop` excluded."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def window(self) -> slice:
        return slice(self.start, self.stop)


Kernel = Callable[[Inputs, Chunk], tuple[Array, ...]]
"""Computes the outputs of a node, in the order of its type, for the next chunk; it may keep state."""


def broadcast_frames(value: Array, chunk: Chunk) -> Array:
    """Broadcast a value to one row per frame of the chunk (a read-only view)."""
    return np.broadcast_to(value, (len(chunk), *value.shape[1:]))


def as_buffer_factor(signal: Array) -> Array:
    """Reshape a signal (n,) to float32 (n, 1, 1), to multiply a buffer (n, 180, 3)."""
    return signal.astype(np.float32)[:, None, None]


def number(value: ParamValue) -> float:
    """Return a numeric parameter as float. Raises TypeError for other kinds."""
    if isinstance(value, list | str):
        raise TypeError(f"a number was expected, not {value!r}")
    return float(value)
