"""A fleet in a process of its own: `python -m benchmarks.deployments.fleet PLAN`.

PLAN is the path of a JSON file: identities, addresses, the folder, the bundle that devices run at first, and
how many bytes a second a device fetches, if that is limited. It says
`ready` on a line of its own when all are online; for each line that it then reads it prints, as JSON, the moments
(s, monotonic clock of the host) at which bundles began to run since the last line. It ends with its input.
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
        told = 0
        while await in_thread(sys.stdin.readline):
            moments = [each.monotonic_s for each in fleet.activations()[told:]]
            told += len(moments)
            print(json.dumps(moments), flush=True)


def main() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    plan = json.loads(Path(sys.argv[1]).read_text())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(_fleet(plan)))


if __name__ == "__main__":
    main()
