"""One seeded run: devices with faults, a deployment or two, processes and servers killed on the way."""

import asyncio
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from k1_contracts import subjects
from k1_contracts.ids import new_id
from k1_contracts.messages.deployments import RequestDeployment, Strategy
from k1_contracts.messages.devices import AddDevices, DevicesAdded
from k1_contracts.messages.telemetry import AlarmKind, DeviceAlarm
from k1_platform.settings import NatsSettings
from k1_simulator.event_log import Change, FlashContents
from k1_simulator.faults.models import DriftRamp, LowFps, Overheat
from k1_simulator.fleet import Fleet
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import Identity, provisioned
from tests.chaos.mischief import RESTING, Mischief
from tests.chaos.report import Report
from tests.chaos.rest import unrest
from tests.chaos.scenarios import LEASE_S, Scenario
from tests.chaos.session import Session
from tests.chaos.shows import Show
from tests.chaos.verdict import Attempt, Evidence, FlashWatch, problems
from tests.chaos.world import World

_ALARMS: Final[dict[type, AlarmKind]] = {DriftRamp: "drift", Overheat: "temperature", LowFps: "fps"}


@dataclass
class Rollout:
    """A run while it runs."""

    world: World
    session: Session
    scenario: Scenario
    folder: Path
    rng: Random
    story: list[str] = field(default_factory=list)
    alarms: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """By device; each is raised once."""

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.watch = FlashWatch(self.folder)
        self.first_id, self.second_id = new_id("dep"), new_id("dep")
        self.mischief = Mischief(self.world, self.session, self.scenario, self.first_id, self.rng, self._tell)

    async def run(self) -> Report:
        letters = len(await self.session.dead_letters())
        fleet = self._fleet(await self._add_devices())
        await self.mischief.listen()
        self._tell("devices start")
        async with fleet:
            await self.session.until(self._hellos_kept, "every hello was kept")
            began, wrong = time.monotonic(), list[str]()
            try:
                await self._deploy(fleet)
                await self.session.until(lambda: self._unrest(fleet), "all comes to rest")
            except AssertionError as error:
                wrong.append(str(error))
            evidence = await self._evidence(fleet, letters)
            wrong += problems(evidence)
            seconds = time.monotonic() - began
        await self._forget_devices()
        views = [attempt.view for attempt in evidence.attempts]
        return Report(self.scenario, seconds, wrong, views, dict(evidence.states), self.story)

    async def _deploy(self, fleet: Fleet) -> None:
        """Order, disturb, and at the end take the faults away."""
        self._tell("ordered")
        await self._order(self.first_id, self.world.new, self.scenario.strategy, self.scenario.device_ids)
        await asyncio.gather(self.mischief.run(), self._order_second(), self._await_the_end_of_faults())
        self._tell("faults end")
        fleet.end_faults()
        await asyncio.gather(*(fleet.restart(device_id) for device_id in self.scenario.unsure))

    async def _await_the_end_of_faults(self) -> None:
        end = time.monotonic() + self.scenario.faults_for_s

        async def turned() -> str | None:
            found = await self.session.deployment(self.first_id)
            resting = found is not None and found["status"] in RESTING
            return None if resting or time.monotonic() > end else f"it is {found}"

        await self.session.until(turned, "the deployment has done what it can, or the faults end")

    # ------------------------------------------------------------------ devices and orders

    async def _add_devices(self) -> list[Identity]:
        ids = self.scenario.device_ids
        split = len(ids) - self.scenario.mqtt
        identities: list[Identity] = []
        for some, transport in ((ids[:split], "nats"), (ids[split:], "mqtt")):
            if some:
                question = AddDevices(device_ids=some, transport=transport, renew=True)
                added = await self.session.ask(subjects.RPC_DEVICE_ADD, question, DevicesAdded)
                identities += provisioned(added)
        return identities

    async def _forget_devices(self) -> None:
        """They are gone; nobody shall look for them in the next run."""
        await self.session.pool.execute(
            "UPDATE deploy.devices SET revoked_at = now() WHERE id = ANY($1::text[])",
            self.scenario.device_ids,
        )

    def _fleet(self, identities: list[Identity]) -> Fleet:
        urls = self.world.stack.urls
        return Fleet(
            identities,
            servers=Servers(NatsSettings(url=urls.nats_url, creds=None), urls.mqtt_url),
            folder=self.folder,
            seed=self.scenario.seed,
            faults=self.scenario.plan,
            factory=self.world.old.bundle.data,
            behaviour=BehaviourConfig(telemetry=False, reconnect_s=0.2),
            on_change=self._changed,
            on_flash_change=self._holds,
        )

    async def _order(self, id_: str, show: Show, strategy: Strategy, device_ids: Sequence[str]) -> None:
        order = RequestDeployment(
            deployment_id=id_,
            track_id=show.info.bundle.track_id,
            version=show.info.bundle.version,
            device_ids=list(device_ids),
            strategy=strategy,
            requested_at=datetime.now(UTC),
            requested_by="chaos",
        )
        await self.session.publish(subjects.DEPLOY_REQUESTED, order, id_)

    async def _order_second(self) -> None:
        second = self.scenario.second
        if second:
            await asyncio.sleep(second.after_s)
            self._tell(f"a second is ordered for {len(second.device_ids)} devices")
            await self._order(self.second_id, self.world.next, second.strategy, second.device_ids)

    # ------------------------------------------------------------------ what devices tell

    def _tell(self, text: str) -> None:
        self.story.append(f"{datetime.now(UTC):%H:%M:%S.%f} {time.monotonic() - self.began:7.3f} {text}")

    def _changed(self, change: Change) -> None:
        self._tell(f"{change.device_id} {change.event} {change.detail or ''}")

    def _holds(self, holding: FlashContents) -> None:
        self.watch(holding)
        active, others = (holding.active or "nothing")[:8], " ".join(sha[:8] for sha in holding.others)
        self._tell(f"{holding.device_id} runs {active}, holds [{others}] by {holding.command_ids}")
        device_id = holding.device_id
        ailing = device_id in self.scenario.ailing and device_id not in self.alarms
        if ailing and holding.active == self.world.new.sha256:
            self.alarms[device_id] = asyncio.create_task(self._alarm(device_id))

    async def _alarm(self, device_id: str) -> None:
        """What the telemetry service says of a device that is not well."""
        await asyncio.sleep(self.rng.uniform(0.1, 1.0))
        [kind] = [_ALARMS[type(fault)] for fault in self.scenario.faults if fault.devices == device_id]
        now, why = datetime.now(UTC), f"{kind} too far"
        alarm = DeviceAlarm(
            device_id=device_id, kind=kind, level="alarm", state="raised", reason=why, since=now, at=now
        )
        self._tell(f"{device_id} alarm {kind}")
        await self.session.publish(subjects.DEVICE_ALARM, alarm, f"{device_id}/{now}")

    # ------------------------------------------------------------------ conditions: None when they hold

    async def _hellos_kept(self) -> str | None:
        late = {str(f.devices) for f in self.scenario.faults if f.fault == "offline" and f.step == "start"}
        missing = await self.session.pool.fetchval(
            "SELECT count(*) FROM deploy.devices WHERE id = ANY($1::text[]) AND NOT expected_known",
            sorted(set(self.scenario.device_ids) - late),
        )
        return f"{missing} are missing" if missing else None

    async def _unrest(self, fleet: Fleet) -> str | None:
        if not all(alarm.done() for alarm in self.alarms.values()):
            return "an alarm is on its way"
        return await unrest(self.session, self.scenario, self._deployment_ids, fleet.states())

    @property
    def _deployment_ids(self) -> list[str]:
        return [self.first_id, *([self.second_id] if self.scenario.second else [])]

    async def _evidence(self, fleet: Fleet, letters: int) -> Evidence:
        ordered = [(self.first_id, self.world.new, self.scenario.strategy)]
        if second := self.scenario.second:
            ordered.append((self.second_id, self.world.next, second.strategy))
        return Evidence(
            scenario=self.scenario,
            attempts=[
                Attempt(await self.session.view(id_), show.sha256, strategy)
                for id_, show, strategy in ordered
            ],
            states=fleet.states(),
            expected=await self.session.expected(self.scenario.device_ids),
            old=self.world.old.sha256,
            watch=self.watch,
            dead_letters=[
                f"{letter.durable} {letter.code} {letter.reason}"
                for letter in (await self.session.dead_letters())[letters:]
            ],
        )


async def run_scenario(world: World, scenario: Scenario) -> Report:
    """Run it on a world that runs."""
    world.run_deploys(
        scenario.processes,
        {
            "K1_DEPLOY_GUARD_SECONDS": str(scenario.guard_s),
            "K1_DEPLOY_LEASE_SECONDS": str(LEASE_S),
        },
    )
    folder = world.folder / f"devices-{scenario.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    async with world.open() as session:
        try:
            return await Rollout(world, session, scenario, folder, Random(scenario.seed)).run()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
