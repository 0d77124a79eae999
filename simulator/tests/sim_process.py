"""Runs a process of simulated devices that a test kills: `python -m simulator.tests.sim_process <options as JSON>`."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from k1_platform.settings import NatsSettings
from k1_simulator.event_log import Change
from k1_simulator.faults.models import FaultPlan
from k1_simulator.fleet import Fleet
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import Identity


def print_change(change: Change) -> None:
    print(json.dumps({"device": change.device_id, "event": change.event}), flush=True)


async def run(options: dict[str, Any]) -> None:
    fleet = Fleet(
        [Identity.model_validate(identity) for identity in options["identities"]],
        servers=Servers(NatsSettings(url=options["nats_url"], creds=None)),
        folder=Path(options["folder"]),
        faults=FaultPlan.model_validate({"faults": options["faults"]}),
        factory=True,
        behaviour=BehaviourConfig(telemetry=False),
        on_change=print_change,
    )
    async with fleet:
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
