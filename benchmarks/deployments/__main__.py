"""Deployments by the service beside devices served one by one: `.venv/bin/python -m benchmarks.deployments [counts]`.

Embedded servers, deploy and the devices as processes of their own. Prints a markdown table for each number of
devices (100 and 1,000 by default), as it stands in docs/benchmarks.md.
"""

import asyncio
import os
import shutil
import sys
from statistics import median

import uvloop

from benchmarks.deployments.measuring import Measured, measure, spread_ms
from benchmarks.system.running import p95, table
from tests.chaos.deployments.harness import ChaosHarness

AIMS_S = {100: ("10", "5"), 1000: ("60", "")}
RADIO_BYTES_S = 100_000.0
"""What a device on a busy Wi-Fi fetches in a second."""


def report(count: int, found: Measured, bytes_per_s: float | None) -> str:
    """The table of one number of devices."""
    out_aim, back_aim = AIMS_S.get(count, ("", ""))
    ours, peer = spread_ms(found.moments), spread_ms(found.peer_moments)
    rows = [
        _seconds("staged, activated, verified", found.rolled_out_s, found.peer_out_s, out_aim),
        _seconds("rolled back, discarded", found.rolled_back_s, found.peer_back_s, back_aim),
        _spread("spread of the activation, p50, ms", median(ours), median(peer), ""),
        _spread("p95", p95(ours), p95(peer), "20"),
        _spread("max", max(ours), max(peer), ""),
    ]
    phases = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found.phases.items())
    way = f"over {bytes_per_s / 1000:.0f} kB/s each" if bytes_per_s else "over loopback"
    head = [f"{count:,} devices, {way}", "deployed", "one by one (peer)", "times faster", "aim: under"]
    return f"{table(head, rows)}\n\nPhases: {phases}."


def _seconds(name: str, ours: float, peer: float, aim: str) -> list[str]:
    return [f"{name}, s", f"{ours:.2f}", f"{peer:.2f}", f"{peer / ours:.1f}", aim]


def _spread(name: str, ours: float, peer: float, aim: str) -> list[str]:
    return [name, f"{ours:.1f}", f"{peer:.0f}", f"{peer / ours:.0f}" if ours else "", aim]


def main() -> None:
    """Measure each number of devices on a harness of its own."""
    counts = [int(word) for word in sys.argv[1:]] or list(AIMS_S)
    runs = [(count, None) for count in counts] + [(counts[0], RADIO_BYTES_S)]
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    for count, bytes_per_s in runs:
        harness = ChaosHarness.temporary()
        try:
            harness.start()
            harness.run_deploys(1, {})
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found = runner.run(measure(harness, count, bytes_per_s))
            print(report(count, found, bytes_per_s) + "\n", flush=True)
        finally:
            harness.stop()
            shutil.rmtree(harness.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
