"""Turns the messages of a batch into columns, sorted by device, track and time; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from k1_telemetry.fleet.readings import Reading

METRICS: Final = ("drift_ms", "cpu_pct", "temp_c", "fps", "heap_free", "rssi")
"""The numbers of a reading that rollups summarise."""
_DTYPES: Final[dict[str, Any]] = {
    "drift_ms": np.float32,
    "cpu_pct": np.float32,
    "temp_c": np.float32,
    "fps": np.float32,
    "heap_free": np.int64,
    "rssi": np.int16,
}

Column = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class SampleMessage:
    """The valid readings of one message."""

    sequence: int
    """Its number in the stream."""
    arrived_us: int
    """When the broker received it, in microseconds since 1970."""
    device_id: str
    offset_ms: float
    """What must be added to the device's clock to get the broker's."""
    readings: Sequence[Reading]


@dataclass(frozen=True, slots=True)
class Columns:
    """The readings of a batch: one entry for each in every column."""

    devices: list[str]
    tracks: list[str | None]
    device: Column
    """The index in `devices`."""
    track: Column
    """The index in `tracks`."""
    ts_us: Column
    """When it was taken, on the broker's clock, in microseconds since 1970."""
    device_ts: Column
    seq: Column
    version: Column
    """0 where the version or the position is not known: they serve only together."""
    position_ms: Column
    metrics: dict[str, Column]
    errors: dict[int, str]
    """The errors of the few readings that have one, by their index."""

    def __len__(self) -> int:
        return len(self.ts_us)


def to_columns(messages: Sequence[SampleMessage]) -> Columns:
    """Return the readings of at least one message, sorted by device, track and time.

    A reading is at its corrected time, but never later than its message arrived.
    """
    readings = [reading for message in messages for reading in message.readings]
    counts = [len(message.readings) for message in messages]
    devices: dict[str, int] = {}
    tracks: dict[str | None, int] = {}
    device = np.repeat([devices.setdefault(each.device_id, len(devices)) for each in messages], counts)
    track = np.array([tracks.setdefault(each.track_id, len(tracks)) for each in readings])
    device_ts = np.array([each.ts for each in readings], dtype=np.float64)
    offset_ms = np.repeat([each.offset_ms for each in messages], counts)
    arrived_us = np.repeat(np.array([each.arrived_us for each in messages], dtype=np.int64), counts)
    corrected_us = np.rint((device_ts + offset_ms) * 1000).astype(np.int64)
    ts_us = np.minimum(corrected_us, arrived_us)
    order = np.lexsort((ts_us, track, device))
    metrics = {
        name: np.array([getattr(each, name) for each in readings], dtype=_DTYPES[name])[order]
        for name in METRICS
    }
    placed = [each.version is not None and each.position_ms is not None for each in readings]
    version = [each.version if known else 0 for each, known in zip(readings, placed, strict=True)]
    position_ms = [each.position_ms if known else 0.0 for each, known in zip(readings, placed, strict=True)]
    failed = [number for number, each in enumerate(readings) if each.error is not None]
    places = {int(old): new for new, old in enumerate(order)} if failed else {}
    return Columns(
        devices=list(devices),
        tracks=list(tracks),
        device=device[order],
        track=track[order],
        ts_us=ts_us[order],
        device_ts=device_ts[order],
        seq=np.array([each.seq for each in readings], dtype=np.int64)[order],
        version=np.array(version, dtype=np.int32)[order],
        position_ms=np.array(position_ms, dtype=np.float32)[order],
        metrics=metrics,
        errors={places[number]: readings[number].error or "" for number in failed},
    )
