"""Runs a whole system under load while random processes are killed, then checks the invariants: `./k1 soak`.

People upload songs, edit them, deploy shows to devices with faults, and sign in; devices send telemetry, and one of them
overheats and hangs. A webhook sends events to a receiver that refuses some at first. Every few seconds a
random server or service is killed with SIGKILL. At the end everything must come to rest, and the stores must agree with
what was accepted, sent and received.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import asyncpg

from tests.soak.activities import STEADY_DEVICES, Activities
from tests.soak.invariants.all_checks import find_violations
from tests.soak.killer import KILLED, Killer
from tests.soak.receiver import DELIVERED_WITHIN_S, SETTINGS, WebhookReceiver
from tests.soak.report import Report
from tests.soak.resources import SETTLED_LIFE_S, ResourceMonitor
from tests.support.servers.threaded import serving
from tests.support.system import System, wait_for


def main() -> None:
    """Run the soak, print the report, and exit with 1 if an invariant is violated."""
    parser = argparse.ArgumentParser(prog="k1 soak", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="how long the load lasts")
    parser.add_argument("--seed", type=int, default=0, help="the seed of all random choices; 0 for a new one")
    parser.add_argument("--report", type=Path, help="write the report as JSON to this file")
    options = parser.parse_args()
    seed = options.seed or int.from_bytes(os.urandom(3), "big")
    with tempfile.TemporaryDirectory(prefix="k1-soak-") as folder:
        report = soak(Path(folder), minutes=options.minutes, seed=seed)
        if report.violations:
            kept = Path(tempfile.mkdtemp(prefix="k1-soak-kept-"))
            (Path(folder) / "home" / "logs").rename(kept / "logs")
            print(f"the logs are in {kept}")
    print(report.text())
    if options.report is not None:
        options.report.write_text(json.dumps(report.to_json(), indent=2))
    sys.exit(bool(report.violations))


def soak(folder: Path, *, minutes: float, seed: int) -> Report:
    """Run one soak in a folder and return its report."""
    system = System(folder / "home", settings=SETTINGS)
    print(f"seed {seed}; starting the system", flush=True)
    system.cli("up", "--detach", "--sim-devices", str(STEADY_DEVICES))
    try:
        receiver = WebhookReceiver(seed)
        with serving(receiver.server):
            return load_and_check(system, Activities(system, folder, seed, receiver), minutes, seed)
    finally:
        system.cli("down", check=False)


def load_and_check(system: System, activities: Activities, minutes: float, seed: int) -> Report:
    """Load a running system, kill its processes, and check it."""
    killer = Killer(system, seed)
    monitor = ResourceMonitor(system)
    began = time.monotonic()
    with monitor.running():
        with activities.running():
            killer.run(until=began + minutes * 60)
        lasted = time.monotonic() - began
        print(f"{len(killer.kills)} processes were killed; waiting until everything has ended", flush=True)
        violations = activities.finish()
        violations += _come_to_rest(system, activities.receiver)
        if _restart_grown(monitor, killer):
            violations += _come_to_rest(system, activities.receiver)
    violations += find_violations(system, activities)
    violations += monitor.find_violations()
    return Report(
        seed=seed,
        minutes=lasted / 60,
        done=activities.counts() | _count_rows(system),
        kills=killer.counts(),
        slowest_restart_s=killer.slowest_restart_s,
        resources=monitor.summary(),
        violations=violations,
    )


def _restart_grown(monitor: ResourceMonitor, killer: Killer) -> set[str]:
    """Restart the processes whose memory grew and observe the new ones without load; return their names."""
    monitor.end_load()
    grown = monitor.suspects() & KILLED
    for name in grown:
        killer.kill(name)
    if grown:
        print(
            f"grew: {', '.join(sorted(grown))}; observing new processes for {SETTLED_LIFE_S:.0f} s",
            flush=True,
        )
        with suppress(AssertionError):  # then `find_violations` says which of them was not observed
            wait_for(
                lambda: all(monitor.is_settled(name) for name in grown),
                "the new processes can be compared with those that grew",
                2 * SETTLED_LIFE_S,
            )
    return grown


def _come_to_rest(system: System, receiver: WebhookReceiver) -> list[str]:
    try:
        wait_for(system.is_ready, "every service is ready")
        wait_for(system.is_quiescent, "every message is published and acknowledged")
        wait_for(lambda: not receiver.pending(system), "every delivery has ended", DELIVERED_WITHIN_S)
    except AssertionError as error:
        return [str(error)]
    return []


def _count_rows(system: System) -> dict[str, int]:
    """Return how much telemetry is stored; nothing when the database does not respond."""
    query = "SELECT (SELECT count(*) FROM telemetry.samples) AS samples, (SELECT count(*) FROM telemetry.alarms) AS alarms"
    try:
        (row,) = system.sql(query)
    except (asyncpg.PostgresError, OSError):
        return {}
    return {"stored samples": row["samples"], "alarms": row["alarms"]}


if __name__ == "__main__":
    main()
