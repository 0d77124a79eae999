"""Measures devices, broker, telemetry processes and database together, with the exact number of lost samples."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from benchmarks.figures import markdown_table
from benchmarks.telemetry.servers import Servers, running_servers
from tests.support.service_process import running_service

MIB = 1024 * 1024
POLL_S = 0.25
DRAIN_S = 60.0
HEADER = [
    "devices", "packed", "processes", "asked/s", "sent/s", "sent", "lost", "doubled", "stored s after the end",
    "stored/s", "telemetry CPU", "telemetry MiB at most", "load",
]  # fmt: skip


@dataclass(frozen=True)
class Load:
    """What the devices send."""

    devices: int
    per_s: float
    packed: int
    seconds: float
    processes: int = 1


def measure(load: Load) -> list[str]:
    """Run one load on fresh servers; return its row of the table."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        servers = running.enter_context(running_servers(folder))
        services = [
            running.enter_context(running_service("telemetry", servers.environment, folder))
            for _ in range(load.processes)
        ]
        arguments = (str(load.devices), str(load.per_s), str(load.packed), str(load.seconds))
        sender = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.telemetry.devices_process", *arguments],
            env={**os.environ, **servers.environment}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes = [psutil.Process(service.process.pid) for service in services]
        return asyncio.run(_measure(load, servers, processes, sender))


async def _measure(
    load: Load, servers: Servers, processes: list[psutil.Process], sender: subprocess.Popen[str]
) -> list[str]:
    connection = await asyncpg.connect(servers.database.dsn.get_secret_value())
    cpu_s = sum(sum(each.cpu_times()[:2]) for each in processes)
    begun_s = time.perf_counter()
    peak = 0.0
    while sender.poll() is None:
        await asyncio.sleep(POLL_S)
        peak = max(peak, *(each.memory_info().rss / MIB for each in processes))
    ended_s = time.perf_counter()
    assert sender.stdout
    text = sender.stdout.read()
    found = re.search(r"sent (\d+) in ([\d.]+) s", text)
    assert found, text
    sent, took_s = int(found[1]), float(found[2])
    stored = 0
    while stored < sent and time.perf_counter() - ended_s < DRAIN_S:
        stored = await connection.fetchval("SELECT coalesce(sum(count), 0) FROM telemetry.rollup_1m")
        peak = max(peak, *(each.memory_info().rss / MIB for each in processes))
        await asyncio.sleep(POLL_S)
    done_s = time.perf_counter()
    took_all_s = done_s - ended_s + took_s
    used_s = sum(sum(each.cpu_times()[:2]) for each in processes) - cpu_s
    row = await connection.fetchrow(
        "SELECT count(*) AS rows, count(DISTINCT (device_id, seq)) AS different FROM telemetry.samples"
    )
    await connection.close()
    assert row is not None
    return [
        f"{load.devices}", f"{load.packed}", f"{load.processes}", f"{load.per_s:,.0f}", f"{sent / took_s:,.0f}",
        f"{sent:,}", f"{sent - row['different']:,}", f"{row['rows'] - row['different']:,}",
        f"{done_s - ended_s:.1f}", f"{sent / took_all_s:,.0f}", f"{used_s / (done_s - begun_s):.0%}",
        f"{peak:.0f}", f"{os.getloadavg()[0]:.1f}",
    ]  # fmt: skip


def run(loads: list[Load]) -> None:
    """Measure the loads and print the table."""
    print(markdown_table(HEADER, [measure(load) for load in loads]))
