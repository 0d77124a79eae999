"""Slices of a map for charts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.packing import Table, expand, pack, unpack
from k1_catalogue.slicing import Slice, cut_layers, thin
from services.catalogue.tests.songs import genesis

LAYERS = genesis()["layers"]


def cut(asked: Slice) -> dict[str, dict[str, list[dict[str, float]]]]:
    return expand(cut_layers(unpack({n: pack(v) if n != "rhythm" else v for n, v in LAYERS.items()}), asked))


def test_everything() -> None:
    """A slice that leaves nothing out is the map."""
    assert cut(Slice()) == LAYERS


def test_layers() -> None:
    """Only the asked layers come."""
    assert set(cut(Slice(layers=("rhythm", "spectral")))) == {"rhythm", "spectral"}


def test_window() -> None:
    """Everything with a time lies in the window, ends included; what belongs to a beat stays with it."""
    asked = Slice(from_ms=5000.0, to_ms=9000.0)
    found = cut(asked)
    times = [point["time_ms"] for point in found["frequency"]["bass"]]
    assert (times[0], times[-1], len(times)) == (5000.0, 9000.0, 81)
    rhythm, whole = found["rhythm"], LAYERS["rhythm"]
    strength = dict(zip(whole["beat_grid_ms"], whole["beat_strength"], strict=True))
    assert rhythm["beat_grid_ms"]
    assert all(5000 <= beat <= 9000 for beat in rhythm["beat_grid_ms"])
    assert rhythm["beat_strength"] == [strength[beat] for beat in rhythm["beat_grid_ms"]]
    assert {len(row) for row in found["spectral"]["chroma"]} == {len(rhythm["beat_grid_ms"])}
    assert [s["label"] for s in found["annotations"]["sections"]] == ["intro", "drop"]
    assert [s["label"] for s in cut(Slice(from_ms=9000.0))["annotations"]["sections"]] == ["drop"]


def test_max_points_thins_curves_and_never_beats() -> None:
    """Curves have at most so many points; beats are events and stay."""
    found = cut(Slice(max_points=50))
    assert 40 <= len(found["frequency"]["bass"]) <= 50
    assert len(found["dynamics"]["loudness_lufs"]) <= 50
    assert found["rhythm"]["beat_grid_ms"] == LAYERS["rhythm"]["beat_grid_ms"]


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=300),
    st.integers(2, 100),
)
def test_thinning_keeps_the_extremes(values: list[float], most: int) -> None:
    """At most the asked number of points, all of the curve, in order, and its peaks among them."""
    times = np.arange(len(values)) * 50.0
    thinned = thin(Table({"time_ms": times, "intensity": np.array(values)}), most)
    kept = [(point["time_ms"], point["intensity"]) for point in thinned.points()]
    assert len(kept) <= most
    assert kept == sorted(set(kept))
    assert set(kept) <= set(zip(times.tolist(), values, strict=True))
    assert (max(values), min(values)) == (max(v for _, v in kept), min(v for _, v in kept))


@pytest.mark.parametrize("window", [(100_000.0, 200_000.0), (5.0, 6.0)])
def test_an_empty_window_is_an_empty_slice(window: tuple[float, float]) -> None:
    """Past the end or between two points there is nothing, and that is no error."""
    found = cut(Slice(from_ms=window[0], to_ms=window[1], max_points=2))
    assert found["frequency"]["bass"] == []
