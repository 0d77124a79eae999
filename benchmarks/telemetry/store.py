"""Measures the store without a broker, against a bare COPY of the same rows, alternately in one run."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import msgspec
import psutil
import uvloop
from prometheus_client import CollectorRegistry

from benchmarks.figures import markdown_table
from benchmarks.telemetry.servers import Servers, running_servers
from k1_platform.postgres.pool import Pool, open_pool
from k1_telemetry.fleet.readings import Reading, decode
from k1_telemetry.store.columns import SampleMessage
from k1_telemetry.store.metrics import StoreMetrics
from k1_telemetry.store.partitions import ensure_partitions
from k1_telemetry.store.writer import BatchWriter

DEVICES = 500
PACKED = 100
BATCH_ROWS = 50_000
TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
ROUNDS = 3
COLUMNS = (
    "device_id", "ts", "device_ts", "seq", "track_id", "drift_ms", "cpu_pct", "temp_c", "fps", "heap_free", "rssi",
)  # fmt: skip
AT_ONCE = 2
"""One batch is prepared while the other is in the database, as in the service."""


def _body(first: int) -> bytes:
    readings = [
        Reading(first + part, first + part, part % 40 - 20.5, 46.1, 51.8, 59.9, 181_204, -58, TRACK)
        for part in range(PACKED)
    ]
    return msgspec.json.encode(readings)


async def _store(pool: Pool, seconds: float, start: int) -> int:
    """Decode and store batches of packed messages for some seconds; return the number of rows."""
    writer = BatchWriter(pool, StoreMetrics(CollectorRegistry()))
    end_s, number = time.perf_counter() + seconds, start
    bodies = [_body(index * PACKED) for index in range(20)]

    async def work() -> None:
        nonlocal number
        while time.perf_counter() < end_s:
            messages: list[SampleMessage] = []
            now_us = int(time.time() * 1e6)
            for _ in range(BATCH_ROWS // PACKED):
                readings, _ = decode(bodies[number % len(bodies)])
                offset_ms = now_us / 1000 - readings[-1].ts
                messages.append(
                    SampleMessage(number + 1, now_us, f"bench-{number % DEVICES}", offset_ms, readings)
                )
                number += 1
            await writer.write(messages)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return (number - start) * PACKED


async def _copy(pool: Pool, seconds: float, _: int) -> int:
    """Copy the same rows with asyncpg for some seconds, from tuples that exist already; return their number."""
    end_s, now, count = time.perf_counter() + seconds, datetime.now(UTC), 0
    rows = [
        (f"bench-{number % DEVICES}", now, float(number), number, TRACK, 1.5, 46.1, 51.8, 59.9, 181_204, -58)
        for number in range(BATCH_ROWS)
    ]

    async def work() -> None:
        nonlocal count
        while time.perf_counter() < end_s:
            async with pool.acquire() as connection:
                await connection.copy_records_to_table(
                    "samples", schema_name="telemetry", columns=COLUMNS, records=rows
                )
            count += BATCH_ROWS

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return count


async def _measure(servers: Servers, seconds: float) -> None:
    works: dict[str, Callable[[Pool, float, int], Awaitable[int]]] = {
        "bare COPY of ready rows (baseline)": _copy,
        f"the store: decode, COPY, three rollups; {PACKED} readings a message": _store,
    }
    rates: dict[str, list[float]] = {name: [] for name in works}
    async with await open_pool(servers.database, "bench") as pool:
        now = datetime.now(UTC)
        await ensure_partitions(pool, now - timedelta(hours=1), now + timedelta(hours=1))
        for round_ in range(ROUNDS):
            for name, work in works.items():
                begun_s = time.perf_counter()
                rows = await work(pool, seconds, round_ * 10_000_000)
                rates[name].append(rows / (time.perf_counter() - begun_s))
                await pool.execute("TRUNCATE telemetry.samples, telemetry.stored_batches")
    baseline = median(next(iter(rates.values())))
    print(
        markdown_table(
            ["rows per second", "median (range)", "ratio"],
            [
                [
                    name,
                    f"{median(each):,.0f} ({min(each):,.0f}-{max(each):,.0f})",
                    f"{median(each) / baseline:.2f}",
                ]
                for name, each in rates.items()
            ],
        )
    )
    print(f"memory of the process: {psutil.Process().memory_info().rss / 2**20:.0f} MiB")


def run(seconds: float) -> None:
    """Measure both in turn and print the table."""
    with tempfile.TemporaryDirectory() as folder, running_servers(Path(folder)) as servers:
        uvloop.run(_measure(servers, seconds))
