"""Tests the pure parts of the store: the clocks of devices, and summaries against a brute-force model."""

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from k1_telemetry.database import ROLLUPS
from k1_telemetry.fleet.readings import Reading
from k1_telemetry.store.columns import METRICS, SampleMessage, to_columns
from k1_telemetry.store.device_clocks import JUMP_MS, WINDOW_MS, DeviceClock
from k1_telemetry.store.rollups.sketches import deserialised, merge_sketches, percentile_95, to_bytes
from k1_telemetry.store.rollups.summaries import MAXIMA, MINIMA, SUMS, summarise
from services.telemetry.tests import samples

BASE_US = 1_777_636_800_000_000  # 2026-05-01 12:00 UTC
TOLERANCE = 1e-5
Key = tuple[str, datetime, str]
"""Device, beginning of the bucket, track."""


@given(
    offset_ms=st.floats(-1e12, 1e12),
    delays_ms=st.lists(st.floats(1, 2000), min_size=1, max_size=50),
)
def test_the_offset_is_that_of_the_shortest_way(offset_ms: float, delays_ms: list[float]) -> None:
    """Whatever the clock shows, the estimate is off by the shortest delay of the window and no more."""
    clock = DeviceClock()
    for number, delay_ms in enumerate(delays_ms):
        taken_ms = 100.0 * number
        estimate = clock.update(taken_ms - offset_ms, taken_ms + delay_ms)
    assert math.isclose(estimate - offset_ms, min(delays_ms), rel_tol=1e-3, abs_tol=1e-2)


def test_the_offset_follows_a_clock_that_drifts_or_jumps() -> None:
    """A clock that runs too fast, jumps ahead, or begins again at 0, has the right offset soon or at once."""
    clock = DeviceClock()
    for second in range(600):  # 100 ms fast in a second
        estimate = clock.update(second * 1100.0, second * 1000.0)
    assert -599 * 100.0 <= estimate <= -599 * 100.0 + WINDOW_MS / 10
    slow = DeviceClock()
    for second in range(600):
        estimate = slow.update(second * 900.0, second * 1000.0)
    assert 599 * 100.0 - WINDOW_MS / 10 <= estimate <= 599 * 100.0
    assert slow.update(0.0, 700_000.0) == 700_000.0
    assert slow.update(9e6, 701_000.0) == 701_000.0 - 9e6
    assert slow.update(9e6 - JUMP_MS - 1, 701_000.0) == 701_000.0 - 9e6 + JUMP_MS + 1


def readings() -> st.SearchStrategy[tuple[str, Reading]]:
    """Return readings of two devices within two minutes, with tracks and without."""
    numbers = st.floats(-500, 500, width=32)
    return st.tuples(
        st.sampled_from(["a", "k1-long-name"]),
        st.builds(
            samples.reading,
            seq=st.integers(0, 2**63 - 1),
            ts=st.floats(0, 120_000),
            drift_ms=numbers,
            fps=st.floats(0, 1000, width=32),
            heap_free=st.integers(0, 2**53),
            rssi=st.integers(-150, 50),
            track_id=st.sampled_from([None, samples.TRACK, samples.TRACK[:-1] + "E"]),
        ),
    )


def model(found: Iterable[tuple[str, Reading]], step_us: int) -> dict[Key, list[Reading]]:
    """Return the readings of each bucket, found one by one."""
    buckets: dict[Key, list[Reading]] = defaultdict(list)
    for device_id, reading in found:
        at_us = BASE_US + round(reading.ts * 1000)
        key = (device_id, samples.at((at_us // step_us * step_us - BASE_US) / 1e6), reading.track_id or "")
        buckets[key].append(reading)
    return buckets


def merge(row: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the row of the samples of both rows; the database does it alike, which `test_store.py` tests."""
    merged = {name: row[name] + other[name] for name in ("count", *SUMS)}
    merged |= {name: min(row[name], other[name]) for name in MINIMA}
    merged |= {name: max(row[name], other[name]) for name in MAXIMA}
    sketch = deserialised(row["drift_sketch"])
    merge_sketches(sketch, other["drift_sketch"])
    return merged | {"drift_sketch": to_bytes(sketch), "drift_p95": percentile_95(sketch)}


@given(st.lists(st.lists(readings(), min_size=1, max_size=40), min_size=1, max_size=6))
def test_summaries_of_any_batches_equal_the_model(batches: list[list[tuple[str, Reading]]]) -> None:
    """However samples are split into batches, and however late they are, each bucket summarises all its samples."""
    for rollup in ROLLUPS:
        merged: dict[Key, dict[str, Any]] = {}
        for batch in batches:
            messages = [
                SampleMessage(1, BASE_US + 120_000_000, device_id, BASE_US / 1000, [reading])
                for device_id, reading in batch
            ]
            columns = summarise(to_columns(messages), rollup.step).columns()
            for values in zip(*columns.values(), strict=True):
                row = dict(zip(columns, values, strict=True))
                key = row["device_id"], row["bucket"], row["track_id"]
                merged[key] = merge(row, merged[key]) if key in merged else row
        step_us = round(rollup.step.total_seconds() * 1e6)
        expected = model((each for batch in batches for each in batch), step_us)
        assert merged.keys() == expected.keys()
        for key, found in expected.items():
            check(merged[key], found)


def check(row: dict[str, Any], expected: list[Reading]) -> None:
    """Compare a row with the samples of its bucket."""
    assert row["count"] == len(expected)
    for name in METRICS:
        values = [float(getattr(reading, name)) for reading in expected]
        assert math.isclose(row[f"{name}_sum"], math.fsum(values), rel_tol=TOLERANCE, abs_tol=0.01)
        assert math.isclose(row[f"{name}_min"], min(values), rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        assert math.isclose(row[f"{name}_max"], max(values), rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    # A t-digest promises ranks: the value lies between the exact ones of the ranks 90 % and 100 %.
    drift = sorted(abs(reading.drift_ms) for reading in expected)
    lowest = drift[max(math.ceil(0.9 * len(drift)) - 2, 0)]
    assert lowest - TOLERANCE <= row["drift_p95"] <= drift[-1] + TOLERANCE
