"""What is done to the system while it deploys: processes and servers killed, people who intervene."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.messages.deployment_queries import ControlDeployment, DeploymentView
from k1_contracts.messages.deployments import ENDED, DeploymentChange
from tests.chaos.scenarios import Disturbance, Scenario
from tests.chaos.session import Session
from tests.chaos.world import World

RESTING: Final = ENDED | {"rollback_pending"}
MOMENT_S: Final = 2.0
"""A disturbance whose moment does not come happens so long after the one before."""


@dataclass
class Mischief:
    """Carries out the disturbances of a scenario, each at its moment."""

    world: World
    session: Session
    scenario: Scenario
    deployment_id: str
    rng: Random
    tell: Callable[[str], None]
    changes: int = 0
    """Live changes of the deployment that were heard."""
    over: bool = False
    """The deployment has ended, or waits for devices alone."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        for each in self.scenario.disturbances:
            await self._moment(each)
            self.tell(f"{each.kind} for {each.away_s:.2f} s, after {self.changes} changes")
            await self._do(each)

    async def listen(self) -> None:
        """Hear of the deployment's changes from now on."""
        await self.session.client.subscribe(subjects.live_deployment(self.deployment_id), cb=self._heard)

    async def _heard(self, message: Msg) -> None:
        self.changes += 1
        self.over = self.over or DeploymentChange.model_validate_json(message.data).status in RESTING
        self.news.set()

    async def _moment(self, disturbance: Disturbance) -> None:
        try:
            async with asyncio.timeout(MOMENT_S):
                while self.changes < disturbance.after_changes and not self.over:
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            return

    async def _do(self, disturbance: Disturbance) -> None:
        deploy, away_s = self.rng.choice(self.world.deploys), disturbance.away_s
        match disturbance.kind:
            case "deploy":
                deploy.kill(away_s)
            case "handover":  # told to end, it gives its deployments back; it is started again
                deploy.signal(signal.SIGTERM)
            case "stall":  # then it goes on as if nothing had been, without its leases
                deploy.signal(signal.SIGSTOP)
                await asyncio.sleep(away_s)
                deploy.signal(signal.SIGCONT)
            case "nats" | "postgres" | "s3" as server:
                await self._restart(server, away_s)
            case "cancel" | "rollback" as action:
                await self._control(action)
            case "pause":
                await self._control("pause")
                await asyncio.sleep(away_s)
                await self._control("resume")

    async def _restart(self, server: str, away_s: float) -> None:
        await asyncio.to_thread(self.world.stack.kill, server)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(self.world.stack.restart, server)
        self.tell(f"{server} runs again")

    async def _control(self, action: str) -> None:
        question = ControlDeployment.model_validate(
            {"deployment_id": self.deployment_id, "action": action, "requested_by": "chaos"}
        )
        answer = await self.session.ask(subjects.RPC_DEPLOYMENT_CONTROL, question, DeploymentView)
        self.tell(f"{action}: {answer.status} {getattr(answer, 'message', '')}")
