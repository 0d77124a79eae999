"""The best position in the bar of each beat, against all paths of a few beats."""

from itertools import pairwise, product
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from k1_analysis.engine.structure.bar_positions import best_positions

METERS = (2, 3, 4)


@st.composite
def beats(draw: st.DrawFn) -> tuple[Any, Any]:
    """Return evidence, often so strong that a bar begins early, and numbers, some after a silence."""
    count = draw(st.integers(1, 6))
    evidence = draw(st.lists(st.integers(-90, 90), min_size=count, max_size=count))
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 5]), min_size=count, max_size=count))
    return np.array(evidence, float), np.cumsum(steps)


def score(path: tuple[int, ...], meter: int, evidence: Any, numbers: Any) -> float:
    """Return the score of positions: the evidence, less a cost wherever a position does not follow the last one."""
    emitted = [
        value if position == 0 else -value / (meter - 1)
        for position, value in zip(path, evidence, strict=True)
    ]
    cost = sum(
        40.0 if step == 1 else 2.0
        for (before, after), step in zip(pairwise(path), np.diff(numbers), strict=True)
        if after != (before + step) % meter
    )
    return sum(emitted) - cost


@given(beats())
def test_no_other_path_is_better(song: tuple[Any, Any]) -> None:
    """For every meter, the path has the score that is stated, and no other path has a higher one."""
    evidence, numbers = song
    for meter, (mean, positions) in zip(METERS, best_positions(evidence, METERS, numbers), strict=True):
        paths = product(range(meter), repeat=len(evidence))
        best = max(score(path, meter, evidence, numbers) for path in paths)
        found = score(tuple(positions), meter, evidence, numbers)
        assert np.isclose(found, best)
        assert np.isclose(mean, best / len(evidence))
