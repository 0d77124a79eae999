"""Measures devices, broker, telemetry processes and database together, with the exact number of lost samples."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import nats
import psutil
from pydantic import SecretStr

from benchmarks.figures import markdown_table
from benchmarks.system.stack import running_system
from benchmarks.telemetry.servers import Servers, running_servers
from k1_contracts.durables import TELEMETRY_SAMPLES
from k1_platform.nats.bus.connection import connect_options
from k1_platform.settings import PostgresSettings
from tests.support.service_process import running_service

MIB = 1024 * 1024
POLL_S = 0.25
DRAIN_S = 60.0
STORED = "SELECT coalesce(sum(count), 0) FROM telemetry.rollup_1m WHERE device_id LIKE 'bench-%'"
ROWS = """
    SELECT count(*) AS rows, count(DISTINCT (device_id, seq)) AS different FROM telemetry.samples
    WHERE device_id LIKE 'bench-%'
"""
HEADER = [
    "devices", "packed", "processes", "asked/s", "sent/s", "sent", "lost", "doubled", "stored s after the end",
    "stored/s", "leader behind", "telemetry CPU", "telemetry MiB at most", "load",
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
        return _measure_on(load, servers, [service.process.pid for service in services])


def measure_system(load: Load) -> list[str]:
    """Run one load on a whole system with two simulated devices; return its row of the table."""
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder) / "home", devices=2) as stack:
        servers = Servers(stack.bus, PostgresSettings(dsn=SecretStr(stack.environment["K1_POSTGRES_DSN"])))
        return _measure_on(
            load, servers, [each.pid for each in stack.services if each.name == "telemetry" and each.pid]
        )


def _measure_on(load: Load, servers: Servers, telemetry: list[int]) -> list[str]:
    arguments = (str(load.devices), str(load.per_s), str(load.packed), str(load.seconds))
    sender = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.telemetry.devices_process", *arguments],
        env={**os.environ, **servers.environment}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return asyncio.run(_measure(load, servers, [psutil.Process(pid) for pid in telemetry], sender))


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
        stored = await connection.fetchval(STORED)
        peak = max(peak, *(each.memory_info().rss / MIB for each in processes))
        await asyncio.sleep(POLL_S)
    done_s = time.perf_counter()
    took_all_s = done_s - ended_s + took_s
    behind = await _leader_lag(servers)
    used_s = sum(sum(each.cpu_times()[:2]) for each in processes) - cpu_s
    row = await connection.fetchrow(ROWS)
    await connection.close()
    assert row is not None
    return [
        f"{load.devices}", f"{load.packed}", f"{load.processes}", f"{load.per_s:,.0f}", f"{sent / took_s:,.0f}",
        f"{sent:,}", f"{sent - row['different']:,}", f"{row['rows'] - row['different']:,}",
        f"{done_s - ended_s:.1f}", f"{sent / took_all_s:,.0f}", f"{behind * load.packed:,}", f"{used_s / (done_s - begun_s):.0%}",
        f"{peak:.0f}", f"{os.getloadavg()[0]:.1f}",
    ]  # fmt: skip


async def _leader_lag(servers: Servers) -> int:
    """Return how many messages the leader has not processed yet."""
    client = await nats.connect(**connect_options(servers.bus))
    info = await client.jetstream().consumer_info(TELEMETRY_SAMPLES.stream, TELEMETRY_SAMPLES.name)
    await client.close()
    return (info.num_pending or 0) + (info.num_ack_pending or 0)


def run(loads: list[Load], measure_one: Callable[[Load], list[str]] = measure) -> None:
    """Measure the loads and print the table."""
    print(markdown_table(HEADER, [measure_one(load) for load in loads]))
