"""Compares deployments with a sequential baseline: `.venv/bin/python -m benchmarks.deployments [counts]`.

Runs the embedded servers, deploy and the devices as separate processes. Prints a Markdown table for each number of
devices (100 and 1,000 by default) for docs/benchmarks.md.
"""

import asyncio
import os
import shutil
import sys
from statistics import median

import uvloop

from benchmarks.deployments.measurement import Measurement, activation_spread_ms, measure
from benchmarks.figures import markdown_table, percentile_95
from tests.chaos.deployments.harness import ChaosHarness

TARGETS_S = {100: ("10", "5"), 1000: ("60", "")}
WIFI_BYTES_PER_S = 100_000.0
"""The download rate of a device on a busy Wi-Fi."""


def report(count: int, measured: Measurement, bytes_per_s: float | None) -> str:
    """Return the table for one number of devices."""
    roll_out_target, rollback_target = TARGETS_S.get(count, ("", ""))
    service, baseline = (
        activation_spread_ms(measured.moments),
        activation_spread_ms(measured.baseline_moments),
    )
    rows = [
        _seconds(
            "staged, activated, verified",
            measured.rolled_out_s,
            measured.baseline_rolled_out_s,
            roll_out_target,
        ),
        _seconds(
            "rolled back, discarded", measured.rolled_back_s, measured.baseline_rolled_back_s, rollback_target
        ),
        _spread("spread of the activation, p50, ms", median(service), median(baseline), ""),
        _spread("p95", percentile_95(service), percentile_95(baseline), "20"),
        _spread("max", max(service), max(baseline), ""),
    ]
    phases = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in measured.phases.items())
    network = f"over {bytes_per_s / 1000:.0f} kB/s each" if bytes_per_s else "over loopback"
    head = [
        f"{count:,} devices, {network}",
        "deployed",
        "one by one (baseline)",
        "times faster",
        "target: under",
    ]
    return f"{markdown_table(head, rows)}\n\nPhases: {phases}."


def _seconds(name: str, service: float, baseline: float, target: str) -> list[str]:
    return [f"{name}, s", f"{service:.2f}", f"{baseline:.2f}", f"{baseline / service:.1f}", target]


def _spread(name: str, service: float, baseline: float, target: str) -> list[str]:
    return [name, f"{service:.1f}", f"{baseline:.0f}", f"{baseline / service:.0f}" if service else "", target]


def main() -> None:
    """Measure each number of devices in a separate system."""
    counts = [int(argument) for argument in sys.argv[1:]] or list(TARGETS_S)
    runs = [(count, None) for count in counts] + [(counts[0], WIFI_BYTES_PER_S)]
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    for count, bytes_per_s in runs:
        harness = ChaosHarness.temporary()
        try:
            harness.start()
            harness.run_deploys(1, {})
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                measured = runner.run(measure(harness, count, bytes_per_s))
            print(report(count, measured, bytes_per_s) + "\n", flush=True)
        finally:
            harness.stop()
            shutil.rmtree(harness.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
