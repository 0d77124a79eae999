"""Sends readings of many devices over one connection at a fixed rate, as a process of its own.

Prints `sent N in S s` at the end. The settings of the bus come from the environment.

    python -m benchmarks.telemetry.devices_process DEVICES READINGS_PER_S PACKED SECONDS
"""

import asyncio
import sys
import time

import nats
import uvloop

from k1_contracts.messages.telemetry import DEVICE_READINGS
from k1_platform.nats.bus.connection import connect_options
from k1_platform.settings import NatsSettings

TICK_S = 0.02
BODY = (
    '{"ts":%d,"seq":%d,"track_id":"trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD","drift_ms":%d.5,"cpu_pct":46.1,"temp_c":51.8,'
    '"fps":59.9,"heap_free":181204,"rssi":-58}'
)


async def send(devices: int, per_s: float, packed: int, seconds: float) -> None:
    """Send messages of `packed` readings, of the devices in turn, evenly over the time."""
    client = await nats.connect(**connect_options(NatsSettings()))
    subjects = [DEVICE_READINGS.subject_for(f"bench-{number}") for number in range(devices)]
    begun_s = time.perf_counter()
    sent = 0
    while (elapsed_s := time.perf_counter() - begun_s) < seconds:
        due = int(per_s * elapsed_s) // packed - sent
        commands: list[bytes] = []
        for number in range(sent, sent + due):
            first = number // devices * packed
            now_ms = int(time.time() * 1000)
            bodies = [BODY % (now_ms - packed + part, first + part, part % 20) for part in range(packed)]
            body = bodies[0] if packed == 1 else f"[{','.join(bodies)}]"
            commands.append(f"PUB {subjects[number % devices]} {len(body)}\r\n{body}\r\n".encode())
        sent += due
        # One command for all: nats-py needs longer to publish a message than this process to make it.
        await client._send_command(b"".join(commands))  # noqa: SLF001
        await client._flush_pending()  # noqa: SLF001
        await client.flush(timeout=60)
        await asyncio.sleep(max(TICK_S - (time.perf_counter() - begun_s - elapsed_s), 0))
    await client.flush(timeout=60)
    print(f"sent {sent * packed} in {time.perf_counter() - begun_s:.3f} s")
    await client.close()


if __name__ == "__main__":
    uvloop.run(send(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
