"""Runs a simulated fleet in a separate process: `python -m benchmarks.deployments.fleet_process PLAN`.

PLAN is the path of a JSON file: identities, addresses, the folder, the first bundle of the devices, and the download
rate limit in bytes per second, if any. Prints the line `ready` when all devices are online. For each line of input it
prints a JSON list of the activation times since the last one (s, monotonic clock of the host). Ends with its input.
"""

import asyncio
import json
import resource
import sys
from pathlib import Path
from typing import Any

import uvloop

from k1_platform.processes.threads import in_thread
from k1_platform.settings import NatsSettings
from k1_simulator.faults.models import FaultPlan, Slow
from k1_simulator.fleet import Fleet
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import Identity


def _fleet(plan: dict[str, Any]) -> Fleet:
    rate = plan["bytes_per_s"]
    slow = Slow(fault="slow", step="stage", bytes_per_s=rate, repeat="always")
    return Fleet(
        [Identity.model_validate(each) for each in plan["identities"]],
        servers=Servers(NatsSettings(url=plan["nats_url"], creds=None)),
        folder=Path(plan["folder"]),
        factory=Path(plan["factory"]).read_bytes(),
        faults=FaultPlan(faults=[slow] if rate else []),
        behaviour=BehaviourConfig(telemetry=False),
    )


async def _run(fleet: Fleet) -> None:
    async with fleet:
        print("ready", flush=True)
        reported = 0
        while await in_thread(sys.stdin.readline):
            moments = [each.monotonic_s for each in fleet.activations()[reported:]]
            reported += len(moments)
            print(json.dumps(moments), flush=True)


def main() -> None:
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    plan = json.loads(Path(sys.argv[1]).read_text())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(_fleet(plan)))


if __name__ == "__main__":
    main()
