"""Summarises the samples of a batch by device, track and bucket, and merges summaries; pure.

A merge does not depend on the order in which samples come, so late samples correct their bucket.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from k1_telemetry.store.columns import METRICS, Columns
from k1_telemetry.store.sketches import Sketch, merge_sketches, percentile_95, sketch_of, to_bytes

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_TRACK: Final = ""
"""The track of samples without a track, because it is part of the key."""
Key = tuple[str, datetime, str]
"""Device, beginning of the bucket, track."""


@dataclass(slots=True)
class Summary:
    """The summary of the samples of one bucket; the lists have one entry for each of METRICS."""

    key: Key
    count: int
    sums: list[float]
    minima: list[float]
    maxima: list[float]
    drift: Sketch
    """The digest of the absolute drift."""

    def merge(self, row: Mapping[str, Any]) -> None:
        """Add a stored row of the same bucket."""
        self.count += row["count"]
        self.sums = [value + row[f"{name}_sum"] for name, value in zip(METRICS, self.sums, strict=True)]
        self.minima = [
            min(value, row[f"{name}_min"]) for name, value in zip(METRICS, self.minima, strict=True)
        ]
        self.maxima = [
            max(value, row[f"{name}_max"]) for name, value in zip(METRICS, self.maxima, strict=True)
        ]
        merge_sketches(self.drift, row["drift_sketch"])

    def row(self) -> dict[str, Any]:
        """Return the columns of the row to be stored."""
        device_id, bucket, track_id = self.key
        values: dict[str, Any] = {
            "device_id": device_id,
            "track_id": track_id,
            "bucket": bucket,
            "count": self.count,
            "drift_p95": percentile_95(self.drift),
            "drift_sketch": to_bytes(self.drift),
        }
        for number, name in enumerate(METRICS):
            values[f"{name}_sum"] = self.sums[number]
            values[f"{name}_min"] = self.minima[number]
            values[f"{name}_max"] = self.maxima[number]
        return values


def summarise(columns: Columns, step: timedelta) -> list[Summary]:
    """Return the summaries of a batch by buckets of `step`, ordered by their keys."""
    bucket_us = columns.ts_us - columns.ts_us % (step // timedelta(microseconds=1))
    changes = (np.diff(columns.device) != 0) | (np.diff(columns.track) != 0) | (np.diff(bucket_us) != 0)
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    ends = np.append(starts[1:], len(columns))
    values = columns.metrics.values()
    sums = np.array([np.add.reduceat(each, starts, dtype=np.float64) for each in values]).T.tolist()
    # As lists of each metric: an array of all would turn whole numbers into fractions.
    minima = zip(*(np.minimum.reduceat(each, starts).tolist() for each in values), strict=True)
    maxima = zip(*(np.maximum.reduceat(each, starts).tolist() for each in values), strict=True)
    drift = np.abs(columns.metrics["drift_ms"])
    found = [
        Summary(
            key=(
                columns.devices[columns.device[start]],
                _EPOCH + timedelta(microseconds=int(bucket_us[start])),
                columns.tracks[columns.track[start]] or NO_TRACK,
            ),
            count=int(end - start),
            sums=sums[number],
            minima=list(lowest),
            maxima=list(highest),
            drift=sketch_of(drift[start:end]),
        )
        for number, (start, end, lowest, highest) in enumerate(zip(starts, ends, minima, maxima, strict=True))
    ]
    return sorted(found, key=lambda summary: summary.key)
