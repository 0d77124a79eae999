"""Measures aggregates by minute over seven days, from the rollup of 1 min and from the samples, and the drift of a song.

Fills the tables by COPY with one sample a second of each device; the rollup is made by the code of the store.
"""

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import uvloop

from benchmarks.figures import markdown_table, percentile_95
from benchmarks.telemetry.servers import Servers, running_servers
from k1_contracts.genesis import Section
from k1_platform.postgres.pool import Pool, open_pool
from k1_telemetry.database import ROLLUPS
from k1_telemetry.drift.drift_store import DriftStore
from k1_telemetry.drift.song_plan import SongPlan
from k1_telemetry.store.columns import Columns
from k1_telemetry.store.copy_rows import COLUMN_NAMES, encode_rows
from k1_telemetry.store.partitions import ensure_partitions
from k1_telemetry.store.rollups.summaries import summarise

DAYS = 7
CHUNK_S = 3600
REPEATS = 100
DRIFT_REPEATS = 3
PARTITIONS = """
    SELECT inhrelid::regclass::text AS name FROM pg_inherits
    WHERE inhparent IN ('telemetry.samples'::regclass, 'telemetry.rollup_1m'::regclass)
"""
SIZE = """
    SELECT pg_size_pretty(sum(pg_total_relation_size(inhrelid))) FROM pg_inherits WHERE inhparent = $1::regclass
"""
TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
ONE_DEVICE = "device_id = 'bench-3' AND"
BY_MINUTE = "GROUP BY 1 ORDER BY 1"
ROLLUP = (
    "SELECT bucket, sum(drift_ms_sum) / sum(count), max(drift_ms_max) FROM telemetry.rollup_1m WHERE {} {} {}"
)
SAMPLES = (
    "SELECT date_trunc('minute', ts), avg(drift_ms), max(drift_ms) FROM telemetry.samples WHERE {} {} {}"
)
TRACK_MINUTES = "SELECT bucket, sum(drift_ms_sum) / sum(count), max(drift_ms_max) FROM telemetry.track_minutes WHERE {} {} {}"
ROLLUP_TIMES, SAMPLES_TIMES = "bucket >= $1 AND bucket < $2", "ts >= $1 AND ts < $2"
ROLLUP_TOTAL = "SELECT sum(drift_ms_sum) / sum(count), max(drift_ms_max) FROM telemetry.rollup_1m WHERE {} {}"
TRACK_TOTAL = ROLLUP_TOTAL.replace("rollup_1m", "track_minutes")
SAMPLES_TOTAL = "SELECT avg(drift_ms), max(drift_ms) FROM telemetry.samples WHERE {} {}"
WEEK_H, HOUR_H = DAYS * 24, 1
DRIFT_H = (1, 24, WEEK_H)
SONG_S, SECTION_S, BEAT_MS = 240, 30, 500.0


@dataclass(frozen=True)
class Query:
    """The same aggregate from the rollup and from the samples."""

    name: str
    rollup: str
    samples: str
    hours: int


def _by_minute(name: str, where: str, hours: int, minutes: str = ROLLUP) -> Query:
    rollup = minutes.format(where, ROLLUP_TIMES, BY_MINUTE)
    return Query(name, rollup, SAMPLES.format(where, SAMPLES_TIMES, BY_MINUTE), hours)


QUERIES = (
    _by_minute("one device, 7 days, a row a minute", ONE_DEVICE, WEEK_H),
    Query(
        "one device, 7 days, one average and maximum",
        ROLLUP_TOTAL.format(ONE_DEVICE, ROLLUP_TIMES),
        SAMPLES_TOTAL.format(ONE_DEVICE, SAMPLES_TIMES),
        WEEK_H,
    ),
    _by_minute("all devices, the last hour, a row a minute", "", HOUR_H, TRACK_MINUTES),
    _by_minute("all devices, 7 days, a row a minute", "", WEEK_H, TRACK_MINUTES),
    _by_minute(
        "a track on all devices, 7 days, a row a minute", f"track_id = '{TRACK}' AND", WEEK_H, TRACK_MINUTES
    ),
    Query(
        "all devices, 7 days, one average and maximum",
        TRACK_TOTAL.format("", ROLLUP_TIMES),
        SAMPLES_TOTAL.format("", SAMPLES_TIMES),
        WEEK_H,
    ),
    _by_minute("all devices, 7 days, a row a minute, from rollup_1m", "", WEEK_H),
)


def chunks(devices: int, since: datetime) -> Iterator[Columns]:
    """Yield the samples of all devices, hour by hour."""
    rng = np.random.default_rng(1)
    names = [f"bench-{number}" for number in range(devices)]
    count = devices * CHUNK_S
    second = np.tile(np.arange(CHUNK_S), devices)
    for hour in range(DAYS * 24):
        start_us = round((since + timedelta(hours=hour)).timestamp() * 1e6)
        yield Columns(
            devices=names,
            tracks=[TRACK],
            device=np.repeat(np.arange(devices), CHUNK_S),
            track=np.zeros(count, dtype=np.int64),
            ts_us=start_us + second * 1_000_000,
            device_ts=second * 1000.0,
            seq=hour * CHUNK_S + second,
            version=np.ones(count, dtype=np.int64),
            position_ms=second % SONG_S * 1000,
            metrics={
                "drift_ms": rng.normal(0, 8, count).astype(np.float32),
                "cpu_pct": rng.uniform(20, 60, count).astype(np.float32),
                "temp_c": rng.uniform(40, 60, count).astype(np.float32),
                "fps": rng.uniform(58, 60, count).astype(np.float32),
                "heap_free": rng.integers(10_000, 200_000, count),
                "rssi": rng.integers(-90, -40, count).astype(np.int16),
            },
            errors={},
        )


async def fill(pool: Pool, devices: int, since: datetime) -> int:
    """Fill the samples and the rollup of 1 min; return the number of samples."""
    count, minute = 0, ROLLUPS[2]
    loop = asyncio.get_running_loop()
    waiting: asyncio.Task[None] | None = None

    async def copy(rows: bytes, summaries: list[tuple[object, ...]], names: list[str]) -> None:
        async with pool.acquire() as connection:
            await connection.copy_to_table(
                "samples", schema_name="telemetry", columns=COLUMN_NAMES, source=BytesIO(rows), format="binary",
                timeout=300,
            )  # fmt: skip
            await connection.copy_records_to_table(
                minute.name, schema_name="telemetry", columns=names, records=summaries, timeout=300
            )

    for columns in chunks(devices, since):
        rows = await loop.run_in_executor(None, encode_rows, columns)
        summaries = summarise(columns, minute.step).columns()
        if waiting is not None:
            await waiting
        records = list(zip(*summaries.values(), strict=True))
        waiting = asyncio.create_task(copy(rows, records, list(summaries)))
        count += len(columns)
    if waiting is not None:
        await waiting
    return count


async def _times_ms(pool: Pool, query: str, since: datetime, until: datetime, repeats: int) -> list[float]:
    times: list[float] = []
    for _ in range(repeats + 1):
        begun_s = time.perf_counter()
        await pool.fetch(query, since, until, timeout=600)
        times.append((time.perf_counter() - begun_s) * 1e3)
    return times[1:]  # the first reads from disk


async def _time_drift(pool: Pool, since: datetime, until: datetime) -> list[str]:
    edges_ms = [1000.0 * second for second in range(0, SONG_S + 1, SECTION_S)]
    sections = [
        Section(start_ms=start, end_ms=end, label="verse", confidence=0.8, energy=0.5)
        for start, end in pairwise(edges_ms)
    ]
    beats = np.arange(0, SONG_S * 1000, BEAT_MS).tolist()
    plan = SongPlan(SONG_S * 1000.0, sections, beats, None, is_by_person=False)
    times_ms: list[float] = []
    readings = 0
    for _ in range(DRIFT_REPEATS + 1):
        begun_s = time.perf_counter()
        cells = await DriftStore(pool).read(TRACK, 1, plan, since, until)
        times_ms.append((time.perf_counter() - begun_s) * 1e3)
        readings = cells.kinds["joined"]
    return [f"{readings:,}", f"{median(times_ms[1:]):,.0f}", f"{median(times_ms[1:]) * 1e3 / readings:.2f}"]


async def _fill_once(servers: Servers, devices: int) -> None:
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    since = until - timedelta(days=DAYS)
    async with await open_pool(servers.database, "bench") as pool:
        if await pool.fetchval("SELECT max(bucket) FROM telemetry.rollup_1m") is None:
            begun_s = time.perf_counter()
            await ensure_partitions(pool, since, until)
            # Without a log of their own the tables are filled in half the time; reading them is the same.
            for name in await pool.fetch(PARTITIONS):
                await pool.execute(f"ALTER TABLE {name['name']} SET UNLOGGED")
            count = await fill(pool, devices, since)
            await pool.execute("VACUUM (ANALYZE) telemetry.rollup_1m", timeout=900)
            await pool.execute("VACUUM (ANALYZE) telemetry.track_minutes", timeout=900)
            await pool.execute("ANALYZE telemetry.samples", timeout=900)
            print(
                f"{count:,} samples of {devices} devices in {time.perf_counter() - begun_s:.0f} s", flush=True
            )
        for table in ("samples", "rollup_1m"):
            size = await pool.fetchval(SIZE, f"telemetry.{table}")
            print(f"size of {table}: {size}", flush=True)


async def _measure(servers: Servers) -> None:
    gc.collect()
    gc.freeze()  # else the collections of this process, which has filled the tables, are measured as well
    rows: list[list[str]] = []
    async with await open_pool(servers.database, "bench") as pool:
        until = await pool.fetchval("SELECT max(bucket) FROM telemetry.rollup_1m") + timedelta(minutes=1)
        for query in QUERIES:
            begin = until - timedelta(hours=query.hours)
            fast = await _times_ms(pool, query.rollup, begin, until, REPEATS)
            slow = await _times_ms(pool, query.samples, begin, until, 1)
            times = (f"{median(fast):.1f}", f"{percentile_95(fast):.1f}", f"{median(slow):,.0f}")
            rows.append([query.name, *times, f"{median(slow) / median(fast):,.0f}"])
        drifts = [await _time_drift(pool, until - timedelta(hours=hours), until) for hours in DRIFT_H]
    print(markdown_table(["query", "rollup: median ms", "p95 ms", "samples: ms", "ratio"], rows))
    print(markdown_table(["drift of a song, readings", "ms", "microseconds a reading"], drifts))
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)


def run(devices: int, kept: Path | None) -> None:
    """Fill the tables, unless `kept` has them from an earlier run, and print the times."""
    with ExitStack() as opened:
        folder = kept or Path(opened.enter_context(tempfile.TemporaryDirectory()))
        servers = opened.enter_context(running_servers(folder))
        uvloop.run(_fill_once(servers, devices))
        uvloop.run(_measure(servers))
