"""What flows between nodes while a graph runs.

Over a chunk of n frames a signal is (n,) float64, a colour (n, 3), a spectrum (n, 64), a chroma vector (n, 12), a buffer
(n, 180) or (n, 180, 3) float32. What never changes has 1 in place of n and broadcasts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from k1_graph.catalogue import ParamValue

Array = npt.NDArray[Any]
Inputs = Mapping[str, Array]
Params = Mapping[str, ParamValue]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Frames start (included) to stop (excluded) of the song."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def window(self) -> slice:
        return slice(self.start, self.stop)


Kernel = Callable[[Inputs, Chunk], tuple[Array, ...]]
"""Computes a node's outputs, in the catalogue's order, for the next chunk; it may remember the last one."""


def every_frame(value: Array, chunk: Chunk) -> Array:
    """The value with a row for each frame of the chunk (a view, read only)."""
    return np.broadcast_to(value, (len(chunk), *value.shape[1:]))


def along_buffer(signal: Array) -> Array:
    """A signal (n,) as float32 (n, 1, 1), to multiply a buffer (n, 180, 3)."""
    return signal.astype(np.float32)[:, None, None]


def number(value: ParamValue) -> float:
    """A numeric parameter as float."""
    if isinstance(value, list | str):
        raise TypeError(f"a number was expected, not {value!r}")
    return float(value)
