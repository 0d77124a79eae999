"""A part of a Genesis map, small enough for a chart. Pure.

Works on what `packing.unpack` returns, so that only the asked points ever become JSON.

Curves with more points than asked are thinned by minimum and maximum: of each of max_points / 2 equal
stretches the lowest and the highest point are kept, so no peak disappears (the `M2` part of M4:
Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", VLDB 2014). Beats, downbeats
and sections are events and never thinned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from k1_catalogue.packing import FloatArray, Json, Table, as_table
from k1_contracts.messages.tracks import MapLayer

Indices = npt.NDArray[np.intp]
METHOD: Final = "min_max"
_TIME: Final = "time_ms"
_EACH_BEAT: Final = ("beat_strength", "beat_confidence")
"""Members of the rhythm that have one value a beat."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What is asked: None means all of it. Times in milliseconds, both ends included."""

    layers: tuple[MapLayer, ...] | None = None
    from_ms: float | None = None
    to_ms: float | None = None
    max_points: int | None = None

    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self == Slice()

    def describe(self) -> dict[str, Json]:
        """What the answer's `metadata.slice` says."""
        return {
            "layers": list(self.layers) if self.layers is not None else None,
            "from_ms": self.from_ms,
            "to_ms": self.to_ms,
            "max_points": self.max_points,
            "downsampling": METHOD if self.max_points is not None else None,
        }

    def within(self, times: FloatArray) -> Indices:
        """The indices of the times (ms, in any order) in the window."""
        start = -np.inf if self.from_ms is None else self.from_ms
        end = np.inf if self.to_ms is None else self.to_ms
        return np.flatnonzero((times >= start) & (times <= end))


def cut_layers(layers: Mapping[str, Json], asked: Slice) -> dict[str, Json]:
    """The asked layers, cut to the window and thinned."""
    beats = asked.within(_array(layers["rhythm"]["beat_grid_ms"]))
    wanted = layers.keys() if asked.layers is None else asked.layers
    return {name: _cut_layer(layer, asked, beats) for name, layer in layers.items() if name in wanted}


def _cut_layer(layer: Mapping[str, Json], asked: Slice, beats: Indices) -> dict[str, Json]:
    return {
        name: None if member is None else _cut_member(name, member, asked, beats)
        for name, member in layer.items()
    }


def _cut_member(name: str, member: Json, asked: Slice, beats: Indices) -> Json:
    if name in _EACH_BEAT:
        return _array(member)[beats]
    if name == "chroma":
        return [_array(row)[beats] for row in member]
    if name in {"beat_grid_ms", "downbeat_ms", "drops"}:
        times = _array(member)
        return times[asked.within(times)]
    if name == "alternatives":
        return [_cut_layer(each, asked, beats) for each in member]
    return _cut_curve(member, asked)


def _cut_curve(member: Json, asked: Slice) -> Json:
    curve = as_table(member)
    if curve is not None and _TIME in curve.columns:
        return thin(curve.take(asked.within(curve.columns[_TIME])), asked.max_points)
    return _cut_events(member, asked)


def _cut_events(member: Json, asked: Slice) -> Json:
    """Spans and points of any other form: those that touch the window."""
    if not isinstance(member, (list, Table)):
        return member
    items: Sequence[Json] = member.points() if isinstance(member, Table) else cast("list[Json]", member)
    return [item for item in items if _touches(item, asked)]


def _touches(item: Json, asked: Slice) -> bool:
    if not isinstance(item, dict):
        return True
    fields = cast("dict[str, Any]", item)
    start = fields.get("start_ms", fields.get(_TIME))
    end = fields.get("end_ms", start)
    after = asked.from_ms is not None and end is not None and end < asked.from_ms
    before = asked.to_ms is not None and start is not None and start > asked.to_ms
    return not (after or before)


def thin(curve: Table, max_points: int | None) -> Table:
    """At most `max_points` (>= 2) points of a curve, keeping the extremes of each stretch of it."""
    if max_points is None or len(curve) <= max_points:
        return curve
    value_names = [name for name in curve.columns if name != _TIME]
    values = curve.columns[value_names[0] if value_names else _TIME]
    edges = np.linspace(0, len(curve), max_points // 2 + 1).astype(np.intp)
    return curve.take(_extremes(values, edges))


def _extremes(values: FloatArray, edges: Indices) -> Indices:
    """The indices of the lowest and the highest value between each two edges, rising."""
    starts, ends = edges[:-1, None], edges[1:, None]
    # One row a stretch; the rows of the shorter stretches end in their last value again.
    rows = np.minimum(starts + np.arange(int(np.max(ends - starts))), ends - 1)
    lowest, highest = np.argmin(values[rows], axis=1), np.argmax(values[rows], axis=1)
    return np.unique(np.concatenate([edges[:-1] + lowest, edges[:-1] + highest]))


def _array(times: Json) -> FloatArray:
    return np.asarray(times, dtype=np.float64)
