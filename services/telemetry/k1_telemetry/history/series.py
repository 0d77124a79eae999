"""Makes the series of a chart from the rows of a window; pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from k1_contracts.messages.telemetry_history import FieldSeries, TelemetryField
from k1_telemetry.history.downsampling import Floats, Indices, chart_indices
from k1_telemetry.store.rollups.sketches import merged_percentile_95

_DECIMALS: Final = 3


def make_series(
    rows: Sequence[Mapping[str, Any]], fields: Sequence[TelemetryField], max_points: int
) -> list[FieldSeries]:
    """Return the points of each field, at most `max_points`."""
    times = np.array([row["at"].timestamp() for row in rows], dtype=np.float64) * 1000
    return [_field_series(rows, field, times, max_points) for field in fields]


def _field_series(
    rows: Sequence[Mapping[str, Any]], field: TelemetryField, times: Floats, max_points: int
) -> FieldSeries:
    low, high = _column(rows, f"{field}_min"), _column(rows, f"{field}_max")
    kept = chart_indices(times, low, high, max_points)
    return FieldSeries(
        field=field,
        times_ms=_rounded(times[kept]),
        avg=_rounded(_column(rows, f"{field}_avg")[kept]),
        min=_rounded(low[kept]),
        max=_rounded(high[kept]),
        p95=_percentiles(rows, kept) if field == "drift_ms" else None,
    )


def _percentiles(rows: Sequence[Mapping[str, Any]], kept: Indices) -> list[float] | None:
    """Return the percentiles of the kept points; None where the rows have none."""
    if not rows or "p95" not in rows[0].keys():  # noqa: SIM118  a record of asyncpg is no dict
        return None
    found = [
        row["p95"] if row["p95"] is not None else merged_percentile_95(row["sketches"])
        for row in (rows[index] for index in kept)
    ]
    return _rounded(np.array(found, dtype=np.float64))


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> Floats:
    return np.array([row[name] for row in rows], dtype=np.float64)


def _rounded(values: Floats) -> list[float]:
    return np.round(values, _DECIMALS).tolist()
