"""Tests the history of telemetry: the choice of table and step, the points, and that summaries of any step agree."""

import math
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from k1_contracts.messages.telemetry_history import GetDeviceTelemetry, GetTrackTelemetry, TelemetrySeries
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from k1_telemetry.fleet.readings import Reading
from k1_telemetry.history.downsampling import chart_indices
from k1_telemetry.history.history_queries import HistoryQueries
from k1_telemetry.history.history_store import HistoryStore
from k1_telemetry.history.resolution import MAX_ROWS, RAW_MAX, WindowError, choose
from k1_telemetry.store.columns import SampleMessage
from k1_telemetry.store.metrics import StoreMetrics
from k1_telemetry.store.writer import BatchWriter
from services.telemetry.tests import samples

NOON = samples.NOON
Found = list[tuple[str, datetime, Reading]]


@pytest.mark.parametrize(
    ("window_s", "step_s", "minutes", "expected"),
    [
        (60, None, 1, ("raw", None)),
        (600, None, 10, ("1s", 1)),
        (3600, None, 60, ("1s", 1)),
        (6 * 3600, None, 360, ("1m", 60)),
        (5 * 3600, None, 300, ("5s", 5)),
        (3600, None, 6000, ("1m", 60)),
        (7 * 86_400, None, 10_080, ("1m", 300)),
        (7 * 86_400, 60, 1_000_000, ("1m", 60)),
        (3600, 30, 60, ("5s", 30)),
        (3600, 7, 60, ("1s", 7)),
        (600, 0.5, 10, ("raw", 0.5)),
    ],
)
def test_the_best_table_is_chosen(
    window_s: float, step_s: float | None, minutes: int, expected: tuple[str, float | None]
) -> None:
    """Without a step the finest table whose rows a chart can use; with one the coarsest that has it exactly."""
    plan = choose(NOON - timedelta(seconds=window_s), NOON, step_s=step_s, minutes=minutes, max_points=1000)
    assert (plan.resolution, plan.step and plan.step.total_seconds()) == expected


@given(
    window_s=st.integers(1, 31 * 86_400),
    step_s=st.none() | st.floats(0.1, 86_400) | st.integers(1, 86_400).map(float),
    minutes=st.integers(0, 10**6),
    max_points=st.integers(10, 2000),
)
def test_a_plan_covers_the_window_within_the_limits(
    window_s: int, step_s: float | None, minutes: int, max_points: int
) -> None:
    """It begins and ends with a step, reads single readings of a short window only, or the error says what to do."""
    since = NOON - timedelta(seconds=window_s)
    try:
        plan = choose(since, NOON, step_s=step_s, minutes=minutes, max_points=max_points)
    except WindowError as error:
        problem = error
    else:
        problem = None
    if problem is not None:
        assert step_s is not None
        assert "step" in str(problem)
        return
    assert plan.starts_at <= since < NOON <= plan.ends_at
    if plan.resolution == "raw":
        assert NOON - since <= RAW_MAX
    if plan.resolution in {"1s", "5s"}:
        assert minutes * 60 / int(plan.resolution[0]) <= MAX_ROWS
    if plan.step is not None:
        assert since - plan.starts_at < plan.step
        assert (plan.ends_at - NOON) < plan.step


@given(
    points=st.integers(2, 3000),
    max_points=st.integers(10, 500),
    seed=st.integers(0, 2**32 - 1),
    is_summary=st.booleans(),
)
def test_downsampling_keeps_the_shape(points: int, max_points: int, seed: int, is_summary: bool) -> None:
    """At most so many points are left, in order, with the first and the last; a lone peak stays among them."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.5, 1.5, points))
    low = rng.normal(0, 1, points)
    high = low + rng.uniform(0, 1, points) if is_summary else low
    peak = int(rng.integers(points))
    high[peak] = 1e6
    kept = chart_indices(times, low, high, max_points)
    assert len(kept) <= max_points
    assert (np.diff(kept) > 0).all()
    assert kept[0] == 0
    assert kept[-1] == points - 1
    assert peak in kept


def message(number: int, device_id: str, now: datetime, readings: list[Reading]) -> SampleMessage:
    """Return a message whose device clock shows milliseconds since `now`."""
    arrived_us = round(now.timestamp() * 1e6) + round(max(each.ts for each in readings) * 1000)
    return SampleMessage(number, arrived_us, device_id, now.timestamp() * 1000, readings)


async def stored(pool: Pool, now: datetime) -> Found:
    """Store random readings of three devices in the two minutes after `now`, some with a track."""
    rng, found, messages = random.Random(3), Found(), list[SampleMessage]()
    for number in range(300):
        device_id, at_ms = f"k1-{number % 3}", rng.uniform(0, 118_000)
        readings = [
            samples.reading(
                seq=number * 10 + part,
                ts=at_ms + part * 100.0,
                track_id=rng.choice([samples.TRACK, None]),
                drift_ms=rng.gauss(0, 40),
                temp_c=rng.uniform(20, 90),
                heap_free=rng.randrange(200_000),
            )
            for part in range(rng.randrange(1, 12))
        ]
        messages.append(message(number + 1, device_id, now, readings))
        found += [(device_id, now + timedelta(milliseconds=each.ts), each) for each in readings]
    await BatchWriter(pool, StoreMetrics(CollectorRegistry())).write(messages)
    return found


def check_points(series: TelemetrySeries, found: Found, step_s: float) -> None:
    """Compare the points with the readings, put into steps one by one."""
    steps: dict[float, list[Reading]] = defaultdict(list)
    for _, at, reading in found:
        steps[math.floor(at.timestamp() / step_s) * step_s * 1000].append(reading)
    assert series.readings == len(found)
    assert series.points == len(steps)
    for each in series.series:
        assert each.times_ms == pytest.approx(sorted(steps), abs=0.01)
        for number, at_ms in enumerate(sorted(steps)):
            values = [getattr(reading, each.field) for reading in steps[at_ms]]
            assert each.avg[number] == pytest.approx(sum(values) / len(values), rel=1e-5, abs=0.001)
            assert each.min[number] == pytest.approx(min(values), rel=1e-6, abs=0.001)
            assert each.max[number] == pytest.approx(max(values), rel=1e-6, abs=0.001)
            if each.p95 is not None:
                sizes = sorted(abs(value) for value in values)
                rank = 0.95 * len(sizes)
                near = (
                    sizes[max(0, math.floor(rank * 0.97) - 2)],
                    sizes[min(len(sizes) - 1, math.ceil(rank * 1.03))],
                )
                assert near[0] - 0.01 <= each.p95[number] <= near[1] + 0.01


async def test_points_of_any_step_summarise_the_readings(pool: Pool) -> None:
    """Whatever table they come from; for a device over all its tracks, for a track over all its devices."""
    now = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    found = await stored(pool, now)
    queries = HistoryQueries(HistoryStore(pool), lambda: now + timedelta(minutes=2))
    of_device = [each for each in found if each[0] == "k1-1"]
    of_track = [each for each in found if each[2].track_id is not None]
    for step_s, resolution in [(0.5, "raw"), (1, "1s"), (3, "1s"), (15, "5s"), (60, "1m"), (120, "1m")]:
        device = await queries.get_device(GetDeviceTelemetry(device_id="k1-1", last=120, step=step_s))
        track = await queries.get_track(GetTrackTelemetry(track_id=samples.TRACK, last=120, step=step_s))
        assert (device.resolution, track.resolution) == (resolution, resolution)
        check_points(device, of_device, step_s)
        check_points(track, of_track, step_s)
    window = {"from": now, "to": now + timedelta(minutes=1), "fields": ["fps"], "max_points": 20}
    few = await queries.get_device(GetDeviceTelemetry.model_validate({"device_id": "k1-1", **window}))
    assert [(each.field, len(each.times_ms) <= 20) for each in few.series] == [("fps", True)]
    early = [reading for _, at, reading in of_device if at < now + timedelta(minutes=1)]
    assert few.readings == len(early)


async def test_windows_without_readings_and_wrong_windows(pool: Pool) -> None:
    """An unknown device has no points; a window that cannot be read is refused with what to change."""
    queries = HistoryQueries(HistoryStore(pool), lambda: NOON)
    empty = await queries.get_device(GetDeviceTelemetry(device_id="nothing"))
    assert (empty.readings, [each.times_ms for each in empty.series]) == (0, [[]] * 6)
    assert empty.ends_at - empty.starts_at == timedelta(minutes=15)
    with pytest.raises(QueryError, match=r"`step` must be at least 4\.3"):
        await queries.get_device(GetDeviceTelemetry(device_id="a", last=86_400, step=1))
    future = {"device_id": "a", "from": NOON + timedelta(seconds=1)}
    with pytest.raises(QueryError, match="lies in the future"):
        await queries.get_device(GetDeviceTelemetry.model_validate(future))
    for wrong in ({"last": 5, "from": NOON}, {"to": NOON}, {"from": NOON, "to": NOON}, {"fields": []}):
        with pytest.raises(ValueError, match=r"last|from|fields"):
            GetDeviceTelemetry.model_validate({"device_id": "a", **wrong})
