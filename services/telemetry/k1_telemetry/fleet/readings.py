"""Decodes the telemetry messages of devices: one reading or a list.

Invalid readings are counted and left out; the valid ones of the same message are kept.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, cast

import msgspec
from msgspec import Meta

from k1_contracts.messages.telemetry import MAX_POSITION_MS

MAX_READINGS: Final = 1000
MAX_BYTES: Final = 1024 * 1024
MAX_SPREAD: Final = timedelta(seconds=5)
"""The longest time between the readings of one message; as long as a device may be silent."""
_INT64: Final = 2**63 - 1
_INT32: Final = 2**31 - 1
_TRACK_ID: Final = r"^trk_[0-9A-HJKMNP-TV-Z]{26}\Z"
_TRACK_ID_LENGTH: Final = 30
_MAX_TRACKS: Final = 4096
"""How many ids are remembered as right or wrong."""

Fault = Literal["malformed", "invalid", "too_many"]
"""What is wrong: `malformed` and `too_many` concern a whole message, `invalid` concerns one reading."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """The same as `k1_contracts.messages.telemetry.TelemetrySample`, for msgspec, which decodes it many times as fast.

    `track_id` has no pattern here, because the decoder would need longer for it than for everything else. Its length is
    limited, because ids are remembered.
    """

    ts: Annotated[float, Meta(ge=-1e15, le=1e15)]
    seq: Annotated[int, Meta(ge=0, le=_INT64)]
    drift_ms: Annotated[float, Meta(ge=-1e9, le=1e9)]
    cpu_pct: Annotated[float, Meta(ge=0, le=100)]
    temp_c: Annotated[float, Meta(ge=-60, le=200)]
    fps: Annotated[float, Meta(ge=0, le=1000)]
    heap_free: Annotated[int, Meta(ge=0, le=_INT64)]
    rssi: Annotated[int, Meta(ge=-150, le=50)]
    track_id: Annotated[str, Meta(max_length=_TRACK_ID_LENGTH)] | None = None
    error: Annotated[str, Meta(max_length=200)] | None = None
    version: Annotated[int, Meta(ge=1, le=_INT32)] | None = None
    position_ms: Annotated[float, Meta(ge=0, le=MAX_POSITION_MS)] | None = None


class CheckedReading(Reading, frozen=True, gc=False):
    """A reading whose track has been checked as well."""

    track_id: Annotated[str, Meta(pattern=_TRACK_ID)] | None = None


_decoder: Final = msgspec.json.Decoder(Reading | list[Reading])


def decode(data: bytes) -> tuple[Sequence[Reading], Mapping[Fault, int]]:
    """Return the readings of a message in order, and the number of faults by kind."""
    if len(data) > MAX_BYTES:
        return (), {"too_many": 1}
    try:
        found = _decoder.decode(data)
    except (ValueError, RecursionError):
        return _decode_individually(data)
    readings = (found,) if isinstance(found, Reading) else found
    if len(readings) > MAX_READINGS:
        return (), {"too_many": 1}
    if not all(map(_is_track, {reading.track_id for reading in readings})):
        return _decode_individually(data)
    return readings, {}


@lru_cache(_MAX_TRACKS)
def _is_track(track_id: str | None) -> bool:
    return track_id is None or re.match(_TRACK_ID, track_id) is not None


def _decode_individually(data: bytes) -> tuple[Sequence[Reading], Mapping[Fault, int]]:
    """Decode the readings of a faulty message one at a time; slower than the decoder.

    Python's own parser accepts the NaN and Infinity that firmware may print, so one such reading does not
    invalidate the others of its message.
    """
    try:
        parsed: object = json.loads(data)
    except (ValueError, RecursionError):
        return (), {"malformed": 1}
    items = cast("list[Any]", parsed) if isinstance(parsed, list) else [parsed]
    if len(items) > MAX_READINGS:
        return (), {"too_many": 1}
    readings = [reading for item in items if (reading := to_reading(item)) is not None]
    return readings, {"invalid": len(items) - len(readings)}


def to_reading(item: object) -> Reading | None:
    """Return the reading in a JSON value, or None if it is not valid."""
    try:
        reading = msgspec.convert(item, Reading)
    except (ValueError, RecursionError):
        return None
    numbers = (reading.ts, reading.drift_ms, reading.cpu_pct, reading.temp_c, reading.fps)
    return reading if all(map(math.isfinite, numbers)) and _is_track(reading.track_id) else None


def assign_times(readings: Sequence[Reading], arrived: datetime, previous: datetime | None) -> list[datetime]:
    """Return when each reading of a message was taken, on the broker's clock; the times never decrease.

    The newest reading gets the time at which the message arrived at the broker. The device's clock only gives
    the distance of the others from it. No reading is placed before `previous`, the time of the previous message,
    so no duration is longer than it was for the broker.
    """
    newest = arrived if previous is None else max(arrived, previous)
    if len(readings) == 1:
        return [newest]
    earliest = newest - MAX_SPREAD if previous is None else max(newest - MAX_SPREAD, previous)
    max_spread_ms = (newest - earliest) / timedelta(milliseconds=1)
    newest_ms, lowest_ms = readings[-1].ts, max_spread_ms
    times: list[datetime] = []
    for reading in readings:
        lowest_ms = min(lowest_ms, max(newest_ms - reading.ts, 0.0))
        times.append(max(newest - timedelta(0, 0, round(lowest_ms * 1000)), earliest))
    return times
