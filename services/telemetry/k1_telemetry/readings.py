"""Reading what devices send: one reading or a list; what is wrong is counted and left out, the rest is kept."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, cast

import msgspec
from msgspec import Meta

MOST_READINGS: Final = 1000
LONGEST_BYTES: Final = 1024 * 1024
WIDEST_SPREAD: Final = timedelta(seconds=5)
"""The readings of one message lie at most this far apart; also what a device may be silent for."""
_INT64: Final = 2**63 - 1

Fault = Literal["malformed", "invalid", "too_many"]
"""`malformed` and `too_many` are whole messages, `invalid` is one reading."""


class Reading(msgspec.Struct, frozen=True):
    """`k1_contracts.devices.TelemetrySample` for msgspec, which decodes it four times as fast."""

    ts: float
    seq: Annotated[int, Meta(ge=0, le=_INT64)]
    drift_ms: float
    cpu_pct: Annotated[float, Meta(ge=0, le=100)]
    temp_c: Annotated[float, Meta(ge=-60, le=200)]
    fps: Annotated[float, Meta(ge=0, le=1000)]
    heap_free: Annotated[int, Meta(ge=0, le=_INT64)]
    rssi: Annotated[int, Meta(ge=-150, le=50)]
    track_id: Annotated[str, Meta(pattern=r"^trk_[0-9A-HJKMNP-TV-Z]{26}\Z")] | None = None
    error: Annotated[str, Meta(max_length=200)] | None = None


_decoder: Final = msgspec.json.Decoder(Reading | list[Reading])


def decode(data: bytes) -> tuple[Sequence[Reading], Mapping[Fault, int]]:
    """The readings of a message, in their order, and how often what was wrong."""
    if len(data) > LONGEST_BYTES:
        return (), {"too_many": 1}
    try:
        found = _decoder.decode(data)
    except (ValueError, RecursionError):
        return _one_by_one(data)
    if isinstance(found, Reading):
        return (found,), {}
    return (found, {}) if len(found) <= MOST_READINGS else ((), {"too_many": 1})


def _one_by_one(data: bytes) -> tuple[Sequence[Reading], Mapping[Fault, int]]:
    """The slow way, for a message in which something is wrong.

    Python's own parser takes the NaN and Infinity that firmware may print, so that such a reading does not
    take the others of its message with it.
    """
    try:
        parsed: object = json.loads(data)
    except (ValueError, RecursionError):
        return (), {"malformed": 1}
    items = cast("list[Any]", parsed) if isinstance(parsed, list) else [parsed]
    if len(items) > MOST_READINGS:
        return (), {"too_many": 1}
    readings = [reading for item in items if (reading := convert(item)) is not None]
    return readings, {"invalid": len(items) - len(readings)}


def convert(item: object) -> Reading | None:
    """Return the reading of a JSON value; None when it is none."""
    try:
        reading = msgspec.convert(item, Reading)
    except (ValueError, RecursionError):
        return None
    numbers = (reading.ts, reading.drift_ms, reading.cpu_pct, reading.temp_c, reading.fps)
    return reading if all(map(math.isfinite, numbers)) else None


def spread(readings: Sequence[Reading], arrived: datetime, before: datetime | None) -> list[datetime]:
    """When each reading of a message was taken, by the broker's clock; never falling.

    The message's arrival at the broker is the time of its newest reading. The device's clock only says how
    far the others lie before it, and cannot move them out of the time since the message `before`: whatever
    it shows, no duration comes out longer than it was for the broker.
    """
    newest = arrived if before is None else max(arrived, before)
    earliest = newest - WIDEST_SPREAD if before is None else max(newest - WIDEST_SPREAD, before)
    widest_ms = (newest - earliest) / timedelta(milliseconds=1)
    times: list[datetime] = []
    for reading in readings:
        behind_ms = min(max(readings[-1].ts - reading.ts, 0.0), widest_ms)
        at = max(newest - timedelta(milliseconds=behind_ms), earliest)
        times.append(max(at, times[-1]) if times else at)
    return times
