"""Summarises the samples of a batch by device, track and bucket; pure.

Summaries can be merged in any order, so late samples correct their bucket: counts and sums are added, the smallest and
the largest values compared, and the digests merged.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from k1_telemetry.store.columns import METRICS, Columns
from k1_telemetry.store.rollups.sketches import Sketch, percentile_95, sketch_of, to_bytes

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_TRACK: Final = ""
"""The track of samples without a track, because it is part of the key."""
SUMS: Final = tuple(f"{name}_sum" for name in METRICS)
MINIMA: Final = tuple(f"{name}_min" for name in METRICS)
MAXIMA: Final = tuple(f"{name}_max" for name in METRICS)


@dataclass(frozen=True, slots=True)
class Summaries:
    """The summaries of some buckets: one entry for each in every list."""

    devices: list[str]
    buckets: list[datetime]
    """The beginning of each bucket."""
    tracks: list[str]
    numbers: dict[str, list[Any]]
    """`count`, and the columns in SUMS, MINIMA and MAXIMA."""
    drift: list[Sketch]
    """The digests of the absolute drift."""

    def columns(self) -> dict[str, list[Any]]:
        """Return all columns of the rows to be stored."""
        return {
            "device_id": self.devices,
            "track_id": self.tracks,
            "bucket": self.buckets,
            **self.numbers,
            "drift_p95": list(map(percentile_95, self.drift)),
            "drift_sketch": list(map(to_bytes, self.drift)),
        }


def summarise(columns: Columns, step: timedelta) -> Summaries:
    """Return the summaries of a batch by buckets of `step`."""
    bucket_us = columns.ts_us - columns.ts_us % (step // timedelta(microseconds=1))
    changes = (np.diff(columns.device) != 0) | (np.diff(columns.track) != 0) | (np.diff(bucket_us) != 0)
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    ends = np.append(starts[1:], len(columns))
    numbers = {"count": (ends - starts).tolist()}
    for name, values in columns.metrics.items():
        numbers[f"{name}_sum"] = np.add.reduceat(values, starts, dtype=np.float64).tolist()
        numbers[f"{name}_min"] = np.minimum.reduceat(values, starts).tolist()
        numbers[f"{name}_max"] = np.maximum.reduceat(values, starts).tolist()
    drift = np.abs(columns.metrics["drift_ms"])
    begin_us = bucket_us[starts].tolist()
    times = {each: _EPOCH + timedelta(microseconds=each) for each in set(begin_us)}
    return Summaries(
        devices=[columns.devices[index] for index in columns.device[starts]],
        buckets=[times[each] for each in begin_us],
        tracks=[columns.tracks[index] or NO_TRACK for index in columns.track[starts]],
        numbers=numbers,
        drift=[sketch_of(drift[start:end]) for start, end in zip(starts, ends, strict=True)],
    )
