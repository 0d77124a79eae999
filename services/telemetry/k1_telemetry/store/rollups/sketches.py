"""Summarises values by t-digests, from which percentiles are estimated; pure. Digests of parts can be merged."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from datasketches import tdigest_float  # pyright: ignore[reportAttributeAccessIssue]  compiled, without types

Sketch = Any
"""A t-digest; the library has no types."""
Floats = npt.NDArray[np.float32]
_COMPRESSION: Final = 100
"""At most about twice as many centroids; up to some dozens of values every value is kept."""
_P95: Final = 0.95


def sketch_of(values: Floats) -> Sketch:
    """Return the digest of at least one value."""
    sketch = tdigest_float(_COMPRESSION)
    sketch.update(values)
    return sketch


def deserialised(stored: bytes) -> Sketch:
    """Return a stored digest."""
    return tdigest_float.deserialize(stored)


def merge_sketches(sketch: Sketch, other: bytes) -> None:
    """Add the values of a stored digest to a digest."""
    sketch.merge(deserialised(other))


def to_bytes(sketch: Sketch) -> bytes:
    """Return a digest as it is stored."""
    return bytes(sketch.serialize())


def percentile_95(sketch: Sketch) -> float:
    """Return the 95th percentile of the values."""
    return float(sketch.get_quantile(_P95))


def merged_percentile_95(stored: Sequence[bytes]) -> float:
    """Return the 95th percentile of the values of at least one stored digest."""
    sketch = deserialised(stored[0])
    for other in stored[1:]:
        merge_sketches(sketch, other)
    return percentile_95(sketch)
