"""Measures the live feed of one gateway: memory of a WebSocket, and the time from publish to client.

Starts a separate broker and one gateway. A process of its own holds the idle WebSockets, each on a topic of its own, while
busy ones, in this process, get readings: all of them the same (one topic), or each its own. The latency is that from
before the publish until the bytes have come to the client's process. The machine's load is printed, as everything
(broker, gateway, publisher, all clients) shares its cores.

    python -m benchmarks.live [idle] [busy] [seconds]
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlparse

import nats
import psutil
import uvloop
from nats.aio.client import Client

from benchmarks.figures import markdown_table
from benchmarks.live.sockets import SocketClient, open_clients
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.ids import new_id
from k1_contracts.messages.telemetry import LIVE_READING, LiveSample
from k1_platform.nats.administration.provision import provision_bus
from k1_platform.nats.bus.connection import connect_options
from tests.support.service_process import RunningService, running_service

DEVICE = "bench"
LIMIT = '{"per_minute": 1000000, "burst": 1000000, "at_once": 100000}'
MIB = 1024 * 1024
SETTLE_S = 3.0
"""Before the memory is read: what opening the connections needed for a moment is free by then."""


@dataclass
class Latencies:
    """When each reading was published, and how long it took to each client."""

    sent_s: list[float] = field(default_factory=list)
    received_ms: list[float] = field(default_factory=list)

    def add(self, number: int, at_s: float) -> None:
        """Record the arrival of a reading at a client."""
        self.received_ms.append((at_s - self.sent_s[number]) * 1e3)


async def publish_readings(
    client: Client, tracks: list[str], per_s: float, seconds: float, latencies: Latencies
) -> None:
    """Publish readings about the tracks in turn, evenly over the time."""
    begin_s = time.perf_counter()
    for number in range(int(per_s * seconds)):
        await asyncio.sleep(max(begin_s + number / per_s - time.perf_counter(), 0))
        body = LiveSample(
            timestamp=datetime.now(UTC), device_id=DEVICE, track_id=tracks[number % len(tracks)],
            drift_ms=number, cpu_pct=40, temp_c=50, fps=60,
        ).to_json()  # fmt: skip
        latencies.sent_s.append(time.perf_counter())
        await client.publish(LIVE_READING.subject_for(DEVICE), body)
        await client.flush()


async def measure(
    server: NatsServer, service: RunningService, tracks: list[str], *, per_s: float, busy: int, seconds: float
) -> list[str]:
    """Run one load; return its row of the table."""
    latencies = Latencies()
    address = urlparse(service.url)
    topics = [f"track:{tracks[number % len(tracks)]}" for number in range(busy)]
    assert address.hostname
    assert address.port
    clients = await open_clients(address.hostname, address.port, topics, latencies.add)
    publisher = await nats.connect(**connect_options(server.settings))
    process = psutil.Process(service.process.pid)
    cpu_s = sum(process.cpu_times()[:2])
    await publish_readings(publisher, tracks, per_s, seconds, latencies)
    used = (sum(process.cpu_times()[:2]) - cpu_s) / seconds
    expected = len(latencies.sent_s) * busy // len(tracks)
    deadline_s = time.perf_counter() + 10
    while len(latencies.received_ms) < expected and time.perf_counter() < deadline_s:  # noqa: ASYNC110  a thousand callbacks add to it
        await asyncio.sleep(0.05)
    await publisher.close()
    _close(clients)
    values = sorted(latencies.received_ms)
    at = [f"{values[int(len(values) * part)]:.1f}" for part in (0.5, 0.95, 0.99)]
    return [
        f"{busy} on {len(tracks)} topic{'s' if len(tracks) > 1 else ''}", f"{per_s:g}",
        f"{per_s * busy / len(tracks):g}", *at, f"{len(values)}", f"{expected - len(values)}", f"{used:.0%}",
        f"{os.getloadavg()[0]:.1f}",
    ]  # fmt: skip


def _close(clients: list[SocketClient]) -> None:
    for client in clients:
        if client.transport is not None:
            client.transport.abort()


@contextmanager
def idle_clients(service: RunningService, count: int) -> Iterator[None]:
    """Hold idle WebSockets in a process of their own; print what one costs the gateway."""
    address, process = urlparse(service.url), psutil.Process(service.process.pid)
    before = process.memory_info().rss
    started_s = time.perf_counter()
    holder = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.live.idle_process", str(address.hostname), str(address.port), str(count)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdin
    assert holder.stdout
    try:
        assert holder.stdout.readline() == "open\n", "the idle clients could not be opened"
        opened_s = time.perf_counter() - started_s
        time.sleep(SETTLE_S)
        each = (process.memory_info().rss - before) / count
        print(
            f"{count} idle WebSockets: opened in {opened_s:.1f} s; the gateway had {before / MIB:.0f} MiB before and "
            f"{process.memory_info().rss / MIB:.0f} MiB with them: {each / 1024:.1f} kB each"
        )
        yield
        holder.stdin.close()
        print(f"idle WebSockets still open at the end: {holder.stdout.readline().strip()} of {count}")
    finally:
        holder.kill()
        holder.wait()


def main() -> None:
    """Run the benchmark and print the results."""
    idle, busy, seconds = (int(value) for value in [*sys.argv[1:], 10_000, 1_000, 20][:3])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        home.create()
        server = NatsServer(home)
        server.start()
        try:
            asyncio.run(_provision(server))
            environment = {
                "K1_NATS_URL": server.settings.url,
                "K1_NATS_CREDS": str(server.settings.creds),
                "K1_GATEWAY_LIMIT_STREAMS": LIMIT,
                "K1_AUTH": "off",
            }
            with (
                running_service("gateway", environment, Path(folder)) as service,
                idle_clients(service, idle),
            ):
                _measure_all(server, service, busy, seconds)
        finally:
            server.stop()


def _measure_all(server: NatsServer, service: RunningService, busy: int, seconds: float) -> None:
    one, own = [new_id("trk")], [new_id("trk") for _ in range(busy)]
    loads = [(one, 1), (one, 2), (one, 5), (one, 10), (own, 200), (own, 1000)]
    rows = [
        uvloop.run(measure(server, service, tracks, per_s=per_s, busy=busy, seconds=seconds))
        for tracks, per_s in loads
    ]
    header = [
        "busy clients",
        "readings/s",
        "frames/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "n",
        "not received",
        "gateway CPU",
        "load",
    ]
    print(markdown_table(header, rows))


async def _provision(server: NatsServer) -> None:
    client = await nats.connect(**connect_options(server.settings))
    try:
        await provision_bus(client.jetstream())
    finally:
        await client.close()


if __name__ == "__main__":
    main()
