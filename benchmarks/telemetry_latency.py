"""Measures the latency from a device's publish to the live feed of its track, and to a browser.

Starts a separate broker, a database, telemetry and a gateway as processes; 100 devices send ten readings per second. For
each reading three latencies are measured in the same run: until a core NATS subscriber of `telemetry.*` receives it (the
baseline), until it arrives on `live.track.<id>`, after the stream, the checks and the throttle, and until a WebSocket of
the gateway has it, as in the web page. The result is the ratio of their 95th percentiles to the baseline.

    python -m benchmarks.telemetry_latency [devices] [seconds]
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nats
import psutil
import uvloop
from aiohttp import ClientSession, ClientWebSocketResponse
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.telemetry.servers import Servers, running_servers
from k1_contracts.ids import new_id
from k1_contracts.messages.telemetry import DEVICE_READINGS, LIVE_TRACK
from k1_platform.nats.bus.connection import connect_options
from tests.support.service_process import RunningService, running_service

RATE = 10
WARM_UP_S = 3.0
TARGET_MS = 50.0


class Latencies:
    """Records when each reading was sent, and its latency on both subjects and on the WebSocket."""

    def __init__(self) -> None:
        self.sent: dict[tuple[str, float], float] = {}
        self.baseline_ms: list[float] = []
        self.live_ms: list[float] = []
        self.browser_ms: list[float] = []

    async def receive_frames(self, socket: ClientWebSocketResponse) -> None:
        """Record the latency of each sample that the gateway sends, until the connection ends."""
        async for frame in socket:
            event = json.loads(frame.data)
            if event["type"] == "device.reading":
                sample = event["data"]
                sent = self.sent[sample["device_id"], sample["drift_ms"]]
                self.browser_ms.append((time.perf_counter() - sent) * 1e3)

    async def receive_baseline(self, message: Msg) -> None:
        """Record the latency of a reading as the device sent it."""
        device, drift = message.subject.split(".")[1], json.loads(message.data)["drift_ms"]
        self.baseline_ms.append((time.perf_counter() - self.sent[device, drift]) * 1e3)

    async def receive_live(self, message: Msg) -> None:
        """Record the latency of a sample of the live feed."""
        body = json.loads(message.data)
        if "drift_ms" in body:
            sent = self.sent[body["device_id"], body["drift_ms"]]
            self.live_ms.append((time.perf_counter() - sent) * 1e3)


async def send_readings(
    client: Client, device: str, track: str, latencies: Latencies, until_s: float
) -> None:
    """Send ten readings per second. The drift is the number of the reading and identifies it at the receiver."""
    seq = 0
    next_s = time.perf_counter() + (hash(device) % 1000) / 1000 / RATE
    while next_s < until_s:
        await asyncio.sleep(max(0.0, next_s - time.perf_counter()))
        drift = round(seq / 1000, 3)
        reading = {"ts": seq * 100, "seq": seq, "track_id": track, "drift_ms": drift, "cpu_pct": 40}
        body = json.dumps(reading | {"temp_c": 50, "fps": 60, "heap_free": 90_000, "rssi": -60}).encode()
        latencies.sent[device, drift] = time.perf_counter()
        await client.publish(DEVICE_READINGS.subject_for(device), body)
        seq += 1
        next_s += 1 / RATE


async def measure(
    servers: Servers, service: RunningService, gateway: RunningService, count: int, seconds: float
) -> Latencies:
    """Run the devices and return the latencies without those of the first seconds."""
    latencies, track = Latencies(), new_id("trk")
    devices, receiver = [await nats.connect(**connect_options(servers.bus)) for _ in range(2)]
    await receiver.subscribe(DEVICE_READINGS.pattern, cb=latencies.receive_baseline)
    await receiver.subscribe(LIVE_TRACK.subject_for(track), cb=latencies.receive_live)
    await receiver.flush()
    session = ClientSession()
    address = f"{gateway.url}/api/v1/ws?topics=track:{track}"
    frames = asyncio.create_task(
        latencies.receive_frames(await session.ws_connect(address, protocols=["k1.json"]))
    )
    end = time.perf_counter() + WARM_UP_S + seconds
    senders = [send_readings(devices, f"bench-{number}", track, latencies, end) for number in range(count)]
    running = asyncio.gather(*senders)
    await asyncio.sleep(WARM_UP_S)
    latencies.baseline_ms.clear()
    latencies.live_ms.clear()
    latencies.browser_ms.clear()
    processes = {each: psutil.Process(each.process.pid) for each in (service, gateway)}
    before = {each: sum(process.cpu_times()[:2]) for each, process in processes.items()}
    await running
    used = [sum(process.cpu_times()[:2]) - before[each] for each, process in processes.items()]
    await asyncio.sleep(0.5)
    print(f"telemetry used {used[0] / seconds:.0%} of a core, the gateway {used[1] / seconds:.0%}")
    frames.cancel()
    await session.close()
    await devices.close()
    await receiver.close()
    return latencies


def report(name: str, values_ms: list[float]) -> float:
    """Print one line and return the 95th percentile."""
    cuts = statistics.quantiles(values_ms, n=100)
    print(
        f"{name:>12}: {len(values_ms)} samples, median {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms"
    )
    return cuts[94]


def main() -> None:
    """Run the benchmark and print the results."""
    count, seconds = (int(value) for value in [*sys.argv[1:], 100, 20][:2])
    with (
        tempfile.TemporaryDirectory() as folder,
        running_servers(Path(folder)) as servers,
        running_service("telemetry", servers.environment, Path(folder)) as service,
        running_service("gateway", servers.environment | {"K1_AUTH": "off"}, Path(folder)) as gateway,
    ):
        latencies = uvloop.run(measure(servers, service, gateway, count, seconds))
    print(f"{count} devices, {RATE} readings a second each, for {seconds} s")
    baseline = report("baseline", latencies.baseline_ms)
    for name, values in (("live.track", latencies.live_ms), ("browser", latencies.browser_ms)):
        p95 = report(name, values)
        print(f"  ratio of p95 to the baseline: {p95 / baseline:.1f}; target {TARGET_MS:.0f} ms")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
