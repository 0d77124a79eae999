"""Runs one scenario: devices with faults, one or two deployments, and kills of processes and servers."""

import asyncio
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from k1_contracts.ids import new_id
from k1_contracts.messages.deploy.deployments import DEPLOY_REQUESTED, RequestDeployment, Strategy
from k1_contracts.messages.deploy.device_link import Transport
from k1_contracts.messages.deploy.devices import DEVICE_ADD, AddDevices
from k1_contracts.messages.telemetry import DEVICE_ALARM, AlarmKind, DeviceAlarm
from k1_platform.settings import NatsSettings
from k1_simulator.event_log import Change, FlashContents
from k1_simulator.faults.models import DriftRamp, LowFps, Overheat
from k1_simulator.fleet import Fleet
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import Identity, provisioned
from tests.chaos.deployments.chaos_injector import STOPPED, ChaosInjector
from tests.chaos.deployments.client import ChaosClient
from tests.chaos.deployments.harness import ChaosHarness
from tests.chaos.deployments.invariants import DeploymentResult, FinalState, FlashMonitor, find_violations
from tests.chaos.deployments.quiescence import find_activity
from tests.chaos.deployments.report import RunReport
from tests.chaos.deployments.scenarios import LEASE_S, Scenario
from tests.chaos.deployments.signed_bundles import SignedBundle

_ALARMS: Final[dict[type, AlarmKind]] = {DriftRamp: "drift", Overheat: "temperature", LowFps: "fps"}


@dataclass
class ScenarioRun:
    """A scenario in progress."""

    harness: ChaosHarness
    client: ChaosClient
    scenario: Scenario
    folder: Path
    rng: Random
    timeline: list[str] = field(default_factory=list)
    alarms: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """The alarm of each device; it is raised once."""

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.flash_monitor = FlashMonitor(self.folder)
        self.first_id, self.second_id = new_id("dep"), new_id("dep")
        self.injector = ChaosInjector(
            self.harness, self.client, self.scenario, self.first_id, self.rng, self._log
        )

    async def run(self) -> RunReport:
        """Run until the system is quiescent, then check the invariants."""
        letters = len(await self.client.dead_letters())
        fleet = self._fleet(await self._add_devices())
        await self.injector.count_changes()
        self._log("devices start")
        async with fleet:
            await self.client.wait_for(self._missing_hellos, "every hello is stored")
            began, problems = time.monotonic(), list[str]()
            try:
                await self._deploy(fleet)
                await self.client.wait_for(lambda: self._activity(fleet), "the system is quiescent")
            except AssertionError as error:
                problems.append(str(error))
            final_state = await self._final_state(fleet, letters)
            problems += find_violations(final_state)
            seconds = time.monotonic() - began
        await self._revoke_devices()
        views = [result.view for result in final_state.results]
        return RunReport(self.scenario, seconds, problems, views, dict(final_state.states), self.timeline)

    async def _deploy(self, fleet: Fleet) -> None:
        """Request the deployments, inject the faults, and end the faults of the devices."""
        self._log("requested")
        await self._request(self.first_id, self.harness.new, self.scenario.strategy, self.scenario.device_ids)
        await asyncio.gather(self.injector.run(), self._request_second(), self._wait_for_end_of_faults())
        self._log("faults end")
        fleet.end_faults()
        await asyncio.gather(*(fleet.restart(device_id) for device_id in self.scenario.devices_to_restart))

    async def _wait_for_end_of_faults(self) -> None:
        end = time.monotonic() + self.scenario.faults_for_s

        async def progress() -> str | None:
            found = await self.client.deployment(self.first_id)
            stopped = found is not None and found["status"] in STOPPED
            return None if stopped or time.monotonic() > end else f"it is {found}"

        await self.client.wait_for(progress, "the deployment has stopped, or the faults end")

    # ------------------------------------------------------------------ devices and requests

    async def _add_devices(self) -> list[Identity]:
        ids = self.scenario.device_ids
        split = len(ids) - self.scenario.mqtt
        identities: list[Identity] = []
        groups: list[tuple[list[str], Transport]] = [(ids[:split], "nats"), (ids[split:], "mqtt")]
        for group, transport in groups:
            if group:
                command = AddDevices(device_ids=group, transport=transport, renew=True)
                added = await self.client.request(DEVICE_ADD, command)
                identities += provisioned(added)
        return identities

    async def _revoke_devices(self) -> None:
        """Revoke all devices, so that the next run does not reconcile them."""
        await self.client.pool.execute(
            "UPDATE deploy.devices SET revoked_at = now() WHERE id = ANY($1::text[])",
            self.scenario.device_ids,
        )

    def _fleet(self, identities: list[Identity]) -> Fleet:
        urls = self.harness.stack.urls
        return Fleet(
            identities,
            servers=Servers(NatsSettings(url=urls.nats_url, creds=None), urls.mqtt_url),
            folder=self.folder,
            seed=self.scenario.seed,
            faults=self.scenario.plan,
            factory=self.harness.old.bundle.data,
            behaviour=BehaviourConfig(telemetry=False, reconnect_s=0.2),
            on_change=self._log_change,
            on_flash_change=self._check_flash,
        )

    async def _request(
        self, id_: str, bundle: SignedBundle, strategy: Strategy, device_ids: Sequence[str]
    ) -> None:
        command = RequestDeployment(
            deployment_id=id_,
            track_id=bundle.info.bundle.track_id,
            version=bundle.info.bundle.version,
            device_ids=list(device_ids),
            strategy=strategy,
            requested_at=datetime.now(UTC),
            requested_by="chaos",
        )
        await self.client.publish(DEPLOY_REQUESTED, command)

    async def _request_second(self) -> None:
        second = self.scenario.second
        if second:
            await asyncio.sleep(second.after_s)
            self._log(f"a second deployment is requested for {len(second.device_ids)} devices")
            await self._request(self.second_id, self.harness.next, second.strategy, second.device_ids)

    # ------------------------------------------------------------------ changes of devices

    def _log(self, text: str) -> None:
        self.timeline.append(f"{datetime.now(UTC):%H:%M:%S.%f} {time.monotonic() - self.began:7.3f} {text}")

    def _log_change(self, change: Change) -> None:
        self._log(f"{change.device_id} {change.event} {change.detail or ''}")

    def _check_flash(self, flash: FlashContents) -> None:
        self.flash_monitor(flash)
        active, others = (flash.active or "nothing")[:8], " ".join(sha[:8] for sha in flash.others)
        self._log(f"{flash.device_id} runs {active}, holds [{others}] by {flash.command_ids}")
        device_id = flash.device_id
        raises_alarm = device_id in self.scenario.alarm_devices and device_id not in self.alarms
        if raises_alarm and flash.active == self.harness.new.sha256:
            self.alarms[device_id] = asyncio.create_task(self._raise_alarm(device_id))

    async def _raise_alarm(self, device_id: str) -> None:
        """Publish the alarm that the telemetry service would publish about the device."""
        await asyncio.sleep(self.rng.uniform(0.1, 1.0))
        [fault] = [each for each in self.scenario.faults if each.devices == device_id]
        kind: AlarmKind = _ALARMS[type(fault)]
        now = datetime.now(UTC)
        reason = f"{kind} too far"
        alarm = DeviceAlarm(
            device_id=device_id, kind=kind, level="alarm", state="raised", reason=reason, since=now, at=now
        )
        self._log(f"{device_id} alarm {kind}")
        await self.client.publish(DEVICE_ALARM, alarm)

    # ------------------------------------------------------------------ what is missing; None: nothing

    async def _missing_hellos(self) -> str | None:
        late = {str(f.devices) for f in self.scenario.faults if f.fault == "offline" and f.step == "start"}
        missing = await self.client.pool.fetchval(
            "SELECT count(*) FROM deploy.devices WHERE id = ANY($1::text[]) AND NOT expected_known",
            sorted(set(self.scenario.device_ids) - late),
        )
        return f"{missing} are missing" if missing else None

    async def _activity(self, fleet: Fleet) -> str | None:
        if not all(alarm.done() for alarm in self.alarms.values()):
            return "an alarm is on its way"
        return await find_activity(self.client, self.scenario, self._deployment_ids, fleet.states())

    @property
    def _deployment_ids(self) -> list[str]:
        return [self.first_id, *([self.second_id] if self.scenario.second else [])]

    async def _final_state(self, fleet: Fleet, letters: int) -> FinalState:
        requested = [(self.first_id, self.harness.new, self.scenario.strategy)]
        if second := self.scenario.second:
            requested.append((self.second_id, self.harness.next, second.strategy))
        return FinalState(
            scenario=self.scenario,
            results=[
                DeploymentResult(await self.client.view(id_), bundle.sha256, strategy)
                for id_, bundle, strategy in requested
            ],
            states=fleet.states(),
            expected=await self.client.expected_bundles(self.scenario.device_ids),
            old=self.harness.old.sha256,
            flash_monitor=self.flash_monitor,
            dead_letters=[
                f"{letter.durable} {letter.code} {letter.reason}"
                for letter in (await self.client.dead_letters())[letters:]
            ],
        )


async def run_scenario(harness: ChaosHarness, scenario: Scenario) -> RunReport:
    """Run a scenario on a harness that was started."""
    harness.run_deploys(
        scenario.processes,
        {
            "K1_DEPLOY_GUARD_SECONDS": str(scenario.guard_s),
            "K1_DEPLOY_LEASE_SECONDS": str(LEASE_S),
        },
    )
    folder = harness.folder / f"devices-{scenario.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    async with harness.connect() as client:
        try:
            return await ScenarioRun(harness, client, scenario, folder, Random(scenario.seed)).run()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
