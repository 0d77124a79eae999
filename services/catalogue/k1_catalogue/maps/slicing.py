"""Cuts a slice out of a Genesis map, small enough for a chart. Pure.

The functions take values from `packing.unpack`, so that only the requested points become JSON.

Curves with more points than requested are downsampled by minimum and maximum: of each of max_points / 2 equal
intervals the lowest and the highest point are kept, so no peak disappears (the `M2` part of M4: Jugel et al., "M4: A
Visualization-Oriented Time Series Data Aggregation", VLDB 2014). Beats, downbeats and sections are events and are
never downsampled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from k1_catalogue.maps.packing import FloatArray, Json, Table, as_table
from k1_contracts.messages.catalogue.tracks import MapLayer

Indices = npt.NDArray[np.intp]
DOWNSAMPLING: Final = "min_max"
_TIME: Final = "time_ms"
_PER_BEAT: Final = ("beat_strength", "beat_confidence")
"""Members of the rhythm that have one value for each beat."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The requested part of a map; None means no limit. Times in ms, both ends included."""

    layers: tuple[MapLayer, ...] | None = None
    from_ms: float | None = None
    to_ms: float | None = None
    max_points: int | None = None

    def is_whole(self) -> bool:
        """Return whether the slice is the whole map."""
        return self == Slice()

    def describe(self) -> dict[str, Json]:
        """Return the description of the slice for `metadata.slice`."""
        return {
            "layers": list(self.layers) if self.layers is not None else None,
            "from_ms": self.from_ms,
            "to_ms": self.to_ms,
            "max_points": self.max_points,
            "downsampling": DOWNSAMPLING if self.max_points is not None else None,
        }

    def within(self, times: FloatArray) -> Indices:
        """Return the indices of the times (ms, in any order) that are in the window."""
        start = -np.inf if self.from_ms is None else self.from_ms
        end = np.inf if self.to_ms is None else self.to_ms
        return np.flatnonzero((times >= start) & (times <= end))


def cut_layers(layers: Mapping[str, Json], requested: Slice) -> dict[str, Json]:
    """Return the requested layers, cut to the window and downsampled."""
    beats = requested.within(_array(layers["rhythm"]["beat_grid_ms"]))
    names = layers.keys() if requested.layers is None else requested.layers
    return {name: _cut_layer(layer, requested, beats) for name, layer in layers.items() if name in names}


def _cut_layer(layer: Mapping[str, Json], requested: Slice, beats: Indices) -> dict[str, Json]:
    return {
        name: None if member is None else _cut_member(name, member, requested, beats)
        for name, member in layer.items()
    }


def _cut_member(name: str, member: Json, requested: Slice, beats: Indices) -> Json:
    if name in _PER_BEAT:
        return _array(member)[beats]
    if name == "chroma":
        return [_array(row)[beats] for row in member]
    if name in {"beat_grid_ms", "downbeat_ms", "drops"}:
        times = _array(member)
        return times[requested.within(times)]
    if name == "alternatives":
        return [_cut_layer(each, requested, beats) for each in member]
    return _cut_curve(member, requested)


def _cut_curve(member: Json, requested: Slice) -> Json:
    curve = as_table(member)
    if curve is not None and _TIME in curve.columns:
        return downsample(curve.take(requested.within(curve.columns[_TIME])), requested.max_points)
    return _cut_events(member, requested)


def _cut_events(member: Json, requested: Slice) -> Json:
    """Return the sections, or points of any other form, that overlap the window."""
    if not isinstance(member, (list, Table)):
        return member
    items: Sequence[Json] = member.points() if isinstance(member, Table) else cast("list[Json]", member)
    return [item for item in items if _overlaps(item, requested)]


def _overlaps(item: Json, requested: Slice) -> bool:
    if not isinstance(item, dict):
        return True
    fields = cast("dict[str, Any]", item)
    start = fields.get("start_ms", fields.get(_TIME))
    end = fields.get("end_ms", start)
    after = requested.from_ms is not None and end is not None and end < requested.from_ms
    before = requested.to_ms is not None and start is not None and start > requested.to_ms
    return not (after or before)


def downsample(curve: Table, max_points: int | None) -> Table:
    """Return at most `max_points` (>= 2) points of a curve: the extremes of each interval."""
    if max_points is None or len(curve) <= max_points:
        return curve
    value_names = [name for name in curve.columns if name != _TIME]
    values = curve.columns[value_names[0] if value_names else _TIME]
    edges = np.linspace(0, len(curve), max_points // 2 + 1).astype(np.intp)
    return curve.take(_extremes(values, edges))


def _extremes(values: FloatArray, edges: Indices) -> Indices:
    """Return the rising indices of the lowest and the highest value between each two edges."""
    starts, ends = edges[:-1, None], edges[1:, None]
    # One row for each interval; the rows of shorter intervals repeat their last value.
    rows = np.minimum(starts + np.arange(int(np.max(ends - starts))), ends - 1)
    lowest, highest = np.argmin(values[rows], axis=1), np.argmax(values[rows], axis=1)
    return np.unique(np.concatenate([edges[:-1] + lowest, edges[:-1] + highest]))


def _array(times: Json) -> FloatArray:
    return np.asarray(times, dtype=np.float64)
