"""Turns the messages of a batch into columns, sorted by device, track and time; pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from k1_telemetry.fleet.readings import Reading

METRICS: Final = ("drift_ms", "cpu_pct", "temp_c", "fps", "heap_free", "rssi")
"""The numbers of a reading that rollups summarise."""
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
    devices: dict[str, int] = {}
    messages = sorted(messages, key=lambda each: devices.setdefault(each.device_id, len(devices)))
    readings = [reading for message in messages for reading in message.readings]
    counts = [len(message.readings) for message in messages]
    device = np.repeat([devices[each.device_id] for each in messages], counts)
    tracks, track = _tracks(readings)
    device_ts = _column([each.ts for each in readings], np.float64)
    offset_ms = np.repeat([each.offset_ms for each in messages], counts)
    arrived_us = np.repeat(np.array([each.arrived_us for each in messages], dtype=np.int64), counts)
    corrected_us = np.rint((device_ts + offset_ms) * 1000).astype(np.int64)
    ts_us = np.minimum(corrected_us, arrived_us)
    order = _order(device, track, ts_us)
    version, position_ms = _places(readings)
    errors = [each.error for each in readings]
    has_errors = errors.count(None) < len(errors)
    failed = [number for number, error in enumerate(errors) if error is not None] if has_errors else []
    places = {int(old): new for new, old in enumerate(np.arange(len(readings))[order])} if failed else {}
    return Columns(
        devices=list(devices),
        tracks=tracks,
        device=device[order],
        track=track[order],
        ts_us=ts_us[order],
        device_ts=device_ts[order],
        seq=_column([each.seq for each in readings], np.int64)[order],
        version=version[order],
        position_ms=position_ms[order],
        metrics={
            "drift_ms": _column([each.drift_ms for each in readings], np.float32)[order],
            "cpu_pct": _column([each.cpu_pct for each in readings], np.float32)[order],
            "temp_c": _column([each.temp_c for each in readings], np.float32)[order],
            "fps": _column([each.fps for each in readings], np.float32)[order],
            "heap_free": _column([each.heap_free for each in readings], np.int64)[order],
            "rssi": _column([each.rssi for each in readings], np.int16)[order],
        },
        errors={places[number]: errors[number] or "" for number in failed},
    )


def _tracks(readings: Sequence[Reading]) -> tuple[list[str | None], Column]:
    """Return the different tracks, and the index in them of each reading's."""
    track_ids = [each.track_id for each in readings]
    indices = {track_id: number for number, track_id in enumerate(dict.fromkeys(track_ids))}
    if len(indices) == 1:
        return list(indices), np.zeros(len(readings), np.int64)
    return list(indices), _column([indices[track_id] for track_id in track_ids], np.int64)


def _order(device: Column, track: Column, ts_us: Column) -> Column | slice:
    """Return the order by device, track and time; readings mostly come in it, which is seen faster than sorted."""
    follows = (np.diff(device) > 0) | ((np.diff(track) == 0) & (np.diff(ts_us) >= 0))
    return slice(None) if follows.all() else np.lexsort((ts_us, track, device))


def _places(readings: Sequence[Reading]) -> tuple[Column, Column]:
    """Return version and position of each reading, both 0 where one is not known."""
    versions = [each.version for each in readings]
    if versions.count(None) == len(versions):
        return np.zeros(len(versions), np.int32), np.zeros(len(versions), np.float32)
    version = _column([each or 0 for each in versions], np.int32)
    positions = [math.nan if each.position_ms is None else each.position_ms for each in readings]
    position_ms = _column(positions, np.float32)
    unplaced = (version == 0) | np.isnan(position_ms)
    version[unplaced], position_ms[unplaced] = 0, 0
    return version, position_ms


def _column(values: list[float], dtype: Any) -> Column:
    """Return the values as numbers of a type; twice as fast as `np.array`, which looks for the type of each."""
    return np.fromiter(values, dtype, len(values))
