"""Tests of the slices of a map."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.maps.packing import Table, expand, pack, unpack
from k1_catalogue.maps.slicing import Slice, cut_layers, downsample
from services.catalogue.tests.song_samples import genesis

LAYERS = genesis()["layers"]


def cut(requested: Slice) -> dict[str, Any]:
    return expand(
        cut_layers(unpack({n: pack(v) if n != "rhythm" else v for n, v in LAYERS.items()}), requested)
    )


def test_a_slice_without_limits() -> None:
    """A slice without limits is the whole map."""
    assert cut(Slice()) == LAYERS


def test_layers() -> None:
    """The slice has only the requested layers."""
    assert set(cut(Slice(layers=("rhythm", "spectral")))) == {"rhythm", "spectral"}


def test_window() -> None:
    """All times are in the window, ends included; values of a beat stay with their beat."""
    requested = Slice(from_ms=5000.0, to_ms=9000.0)
    found = cut(requested)
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


def test_window_of_the_alternatives() -> None:
    """Their beats and downbeats are cut to the window; what tells them apart stays."""
    requested = Slice(from_ms=5000.0, to_ms=9000.0)
    half, degara = cut(requested)["rhythm"]["alternatives"]
    assert (half["kind"], half["source"], degara["source"], degara["score"]) == ("half", None, "degara", 0.3)
    for name in ("beat_grid_ms", "downbeat_ms"):
        whole = LAYERS["rhythm"]["alternatives"][0][name]
        assert half[name] == [time for time in whole if 5000 <= time <= 9000]
        assert half[name]
    assert degara["downbeat_ms"] is None
    assert cut(requested)["rhythm"]["interpretation_score"] == 0.8


def test_max_points_limits_curves_but_not_beats() -> None:
    """Curves have at most `max_points` points; beats are events and stay."""
    found = cut(Slice(max_points=50))
    assert 40 <= len(found["frequency"]["bass"]) <= 50
    assert len(found["dynamics"]["loudness_lufs"]) <= 50
    assert found["rhythm"]["beat_grid_ms"] == LAYERS["rhythm"]["beat_grid_ms"]


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=300),
    st.integers(2, 100),
)
def test_downsampling_keeps_the_extremes(values: list[float], max_points: int) -> None:
    """The result has at most the requested number of points, all from the curve, in order, with its extremes."""
    times = np.arange(len(values), dtype=np.float64) * 50.0
    thinned = downsample(
        Table({"time_ms": times, "intensity": np.array(values, dtype=np.float64)}), max_points
    )
    points = [(point["time_ms"], point["intensity"]) for point in thinned.points()]
    assert len(points) <= max_points
    assert points == sorted(set(points))
    assert set(points) <= set(zip(times.tolist(), values, strict=True))
    assert (max(values), min(values)) == (max(v for _, v in points), min(v for _, v in points))


@pytest.mark.parametrize("window", [(100_000.0, 200_000.0), (5.0, 6.0)])
def test_an_empty_window_is_an_empty_slice(window: tuple[float, float]) -> None:
    """A window past the end or between two points gives an empty curve, not an error."""
    found = cut(Slice(from_ms=window[0], to_ms=window[1], max_points=2))
    assert found["frequency"]["bass"] == []
