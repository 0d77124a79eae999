"""Creates readings and times for the tests of telemetry."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from k1_telemetry.fleet.readings import Reading

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"


def at(seconds: float) -> datetime:
    """Return the time this many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def fields(seq: int = 0, ts: float = 0.0, **changes: Any) -> dict[str, Any]:
    """Return the fields of a healthy reading, as in its JSON."""
    healthy = {
        "drift_ms": 1.5,
        "cpu_pct": 40.0,
        "temp_c": 50.0,
        "fps": 60.0,
        "heap_free": 90_000,
        "rssi": -60,
    }
    return {"ts": ts, "seq": seq, **healthy, **changes}


def reading(seq: int = 0, ts: float = 0.0, **changes: Any) -> Reading:
    """Return a healthy reading."""
    return Reading(**fields(seq, ts, **changes))


def message(*readings: dict[str, Any]) -> bytes:
    """Return the message that a device sends: one reading as an object, several as a list."""
    return json.dumps(readings[0] if len(readings) == 1 else readings).encode()
