"""From a device's publish to the live feed of its track, against a bare core-NATS subscriber in the same run.

A broker of its own and the telemetry service as a process; 100 devices send ten readings a second. For every
reading two times are taken in this process: until a plain subscriber of `telemetry.*` has it, and until it comes
on `live.track.<id>`, after the stream, the checks and the throttle. The ratio of their 95th percentiles is what
being stored, judged and told costs.

    python benchmarks/telemetry_live.py [devices] [seconds]
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nats
import psutil
from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts import subjects
from k1_contracts.ids import new_id
from k1_platform.nats.connection import connect_options
from k1_platform.nats.provision import provision_bus
from tests.support.service_process import RunningService, running_service

RATE = 10
WARM_UP_S = 3.0
TARGET_MS = 50.0


class Delays:
    """When each reading was sent, and how long it took to each of the two."""

    def __init__(self) -> None:
        self.sent: dict[tuple[str, float], float] = {}
        self.bare_ms: list[float] = []
        self.live_ms: list[float] = []

    async def bare(self, message: Msg) -> None:
        """A reading as the device sent it."""
        device, drift = message.subject.split(".")[1], json.loads(message.data)["drift_ms"]
        self.bare_ms.append((time.perf_counter() - self.sent[device, drift]) * 1e3)

    async def live(self, message: Msg) -> None:
        """A sample of the feed."""
        body = json.loads(message.data)
        if "drift_ms" in body:
            sent = self.sent[body["device_id"], body["drift_ms"]]
            self.live_ms.append((time.perf_counter() - sent) * 1e3)


async def play(client: Client, device: str, track: str, delays: Delays, until_s: float) -> None:
    """Ten readings a second; the drift is the reading's number, so that both ends know it again."""
    seq = 0
    next_s = time.perf_counter() + (hash(device) % 1000) / 1000 / RATE
    while next_s < until_s:
        await asyncio.sleep(max(0.0, next_s - time.perf_counter()))
        drift = round(seq / 1000, 3)
        reading = {"ts": seq * 100, "seq": seq, "track_id": track, "drift_ms": drift, "cpu_pct": 40}
        body = json.dumps(reading | {"temp_c": 50, "fps": 60, "heap_free": 90_000, "rssi": -60}).encode()
        delays.sent[device, drift] = time.perf_counter()
        await client.publish(subjects.telemetry(device), body)
        seq += 1
        next_s += 1 / RATE


async def measure(server: NatsServer, service: RunningService, count: int, seconds: float) -> Delays:
    """Run the devices; the first seconds do not count."""
    delays, track = Delays(), new_id("trk")
    devices, ear = [await nats.connect(**connect_options(server.settings)) for _ in range(2)]
    await ear.subscribe(subjects.TELEMETRY_ANY, cb=delays.bare)
    await ear.subscribe(subjects.live_track(track), cb=delays.live)
    await ear.flush()
    end = time.perf_counter() + WARM_UP_S + seconds
    players = [play(devices, f"bench-{number}", track, delays, end) for number in range(count)]
    running = asyncio.gather(*players)
    await asyncio.sleep(WARM_UP_S)
    delays.bare_ms.clear()
    delays.live_ms.clear()
    cpu = psutil.Process(service.process.pid)
    before = sum(cpu.cpu_times()[:2])
    await running
    used = sum(cpu.cpu_times()[:2]) - before
    await asyncio.sleep(0.5)
    print(f"telemetry used {used / seconds:.0%} of a core")
    await devices.close()
    await ear.close()
    return delays


def report(name: str, values_ms: list[float]) -> float:
    """Print one line; return the 95th percentile."""
    cuts = statistics.quantiles(values_ms, n=100)
    print(
        f"{name:>12}: {len(values_ms)} samples, median {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms"
    )
    return cuts[94]


def main() -> None:
    """Measure and print."""
    count, seconds = (int(value) for value in [*sys.argv[1:], 100, 20][:2])
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        home.create()
        server = NatsServer(home)
        server.start()
        try:
            asyncio.run(_provision(server))
            environment = {"K1_NATS_URL": server.settings.url, "K1_NATS_CREDS": str(server.settings.creds)}
            with running_service("telemetry", environment, Path(folder)) as service:
                delays = asyncio.run(measure(server, service, count, seconds))
        finally:
            server.stop()
    print(f"{count} devices, {RATE} readings a second each, for {seconds} s")
    bare = report("bare", delays.bare_ms)
    live = report("live.track", delays.live_ms)
    print(f"ratio of p95, live to bare: {live / bare:.1f}; {live:.1f} of at most {TARGET_MS:.0f} ms")


async def _provision(server: NatsServer) -> None:
    client = await nats.connect(**connect_options(server.settings))
    await provision_bus(client.jetstream())
    await client.close()


if __name__ == "__main__":
    main()
