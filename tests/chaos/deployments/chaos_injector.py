"""Injects faults while the system deploys: kills or stalls processes and servers, and intervenes as operators do."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from nats.aio.msg import Msg

from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_CONTROL, ControlDeployment
from k1_contracts.messages.deploy.deployments import DEPLOYMENT_CHANGED, ENDED, DeploymentChange
from tests.chaos.deployments.client import ChaosClient
from tests.chaos.deployments.harness import ChaosHarness
from tests.chaos.deployments.scenarios import ChaosAction, Scenario

STOPPED: Final = ENDED | {"rollback_pending"}
"""Statuses in which a deployment makes no more progress by itself."""
MAX_WAIT_S: Final = 2.0
"""An action is carried out at the latest so long after the one before."""


@dataclass
class ChaosInjector:
    """Carries out the actions of a scenario one after the other, each after its number of changes."""

    harness: ChaosHarness
    client: ChaosClient
    scenario: Scenario
    deployment_id: str
    rng: Random
    log: Callable[[str], None]
    changes: int = 0
    """Live changes of the deployment so far."""
    stopped: bool = False
    """The deployment has ended, or only waits for devices."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Carry out all actions."""
        for each in self.scenario.actions:
            await self._wait_for_moment(each)
            self.log(f"{each.kind} for {each.duration_s:.2f} s, after {self.changes} changes")
            await self._carry_out(each)

    async def count_changes(self) -> None:
        """Count the deployment's live changes from now on."""
        await self.client.nats.subscribe(DEPLOYMENT_CHANGED.subject_for(self.deployment_id), cb=self._count)

    async def _count(self, message: Msg) -> None:
        self.changes += 1
        self.stopped = self.stopped or DeploymentChange.model_validate_json(message.data).status in STOPPED
        self._changed.set()

    async def _wait_for_moment(self, action: ChaosAction) -> None:
        try:
            async with asyncio.timeout(MAX_WAIT_S):
                while self.changes < action.after_changes and not self.stopped:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    async def _carry_out(self, action: ChaosAction) -> None:
        deploy, duration_s = self.rng.choice(self.harness.deploys), action.duration_s
        match action.kind:
            case "deploy":
                deploy.kill(duration_s)
            case "handover":  # it stops and releases its deployments, and is started again
                deploy.signal(signal.SIGTERM)
            case "stall":  # when it continues, its leases have expired
                deploy.signal(signal.SIGSTOP)
                await asyncio.sleep(duration_s)
                deploy.signal(signal.SIGCONT)
            case "nats" | "postgres" | "s3" as server:
                await self._restart(server, duration_s)
            case "cancel" | "rollback" as intervention:
                await self._control(intervention)
            case "pause":
                await self._control("pause")
                await asyncio.sleep(duration_s)
                await self._control("resume")

    async def _restart(self, server: str, duration_s: float) -> None:
        await asyncio.to_thread(self.harness.stack.kill, server)
        await asyncio.sleep(duration_s)
        await asyncio.to_thread(self.harness.stack.restart, server)
        self.log(f"{server} runs again")

    async def _control(self, action: str) -> None:
        command = ControlDeployment.model_validate(
            {"deployment_id": self.deployment_id, "action": action, "requested_by": "chaos"}
        )
        response = await self.client.request(DEPLOYMENT_CONTROL, command)
        self.log(f"{action}: {response.status} {getattr(response, 'message', '')}")
