"""One seeded run: devices with faults, a deployment, processes and servers killed on the way."""

import asyncio
import json
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import asyncpg
from nats.aio.msg import Msg

from k1_contracts import streams, subjects
from k1_contracts.deployments import (
    ENDED,
    AddDevices,
    ControlDeployment,
    DeploymentChange,
    DeploymentView,
    DevicesAdded,
    GetDeployment,
    RequestDeployment,
    Strategy,
)
from k1_contracts.devices import AlarmKind, DeviceAlarm
from k1_contracts.ids import new_id
from k1_platform.broker import make_event
from k1_platform.dead_letter_queue import list_dead_letters
from k1_platform.settings import NatsSettings
from k1_simulator.device import DeviceState
from k1_simulator.faults import DriftRamp, LowFps, Overheat
from k1_simulator.fleet import Fleet
from k1_simulator.identity import Identity, provisioned
from k1_simulator.journal import Change, Holding
from k1_simulator.world import Habits, Servers
from tests.chaos.scenarios import Disturbance, Scenario
from tests.chaos.verdict import Attempt, Evidence, FlashWatch, problems
from tests.chaos.world import Session, Show, World

PATIENCE_S: Final = 120.0
RESTING: Final = ENDED | {"rollback_pending"}
MOMENT_S: Final = 4.0
"""A disturbance whose moment does not come happens so long after the one before."""
_AWAY: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_ALARMS: Final[dict[type, AlarmKind]] = {DriftRamp: "drift", Overheat: "temperature", LowFps: "fps"}


@dataclass(frozen=True)
class Report:
    """How a run went."""

    scenario: Scenario
    seconds: float
    problems: list[str]
    views: list[DeploymentView]
    states: dict[str, DeviceState]
    story: list[str]

    def keep(self, folder: Path, world: World) -> None:
        """All that a person needs to find out what happened."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "problems.txt").write_text("\n".join(self.problems) + "\n")
        (folder / "scenario.txt").write_text(f"{self.scenario!r}\n")
        (folder / "story.txt").write_text("\n".join(self.story) + "\n")
        for number, view in enumerate(self.views, start=1):
            (folder / f"deployment-{number}.json").write_text(view.model_dump_json(indent=1))
        states = {device_id: asdict(state) for device_id, state in self.states.items()}
        (folder / "devices.json").write_text(json.dumps(states, indent=1, default=str))
        for log in world.logs():
            shutil.copy(log, folder)

    def __str__(self) -> str:
        word = "ok  " if not self.problems else "FAIL"
        ends = ", ".join(
            f"{view.status} ({' '.join(f'{name} {count}' for name, count in sorted(view.counts.items()))})"
            for view in self.views
        )
        return f"{self.scenario.seed:>6} {word} {self.seconds:5.1f} s  {ends}  {self.scenario}"


@dataclass
class Rollout:
    """A run while it runs."""

    session: Session
    scenario: Scenario
    folder: Path
    rng: Random
    changes: int = 0
    """Live changes of the deployment that were heard."""
    over: bool = False
    """The deployment has ended, or waits for devices alone."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    story: list[str] = field(default_factory=list)
    alarmed: set[str] = field(default_factory=set)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.deployment_id, self.second_id = new_id("dep"), new_id("dep")
        self.began = time.monotonic()
        self.watch = FlashWatch(self.folder)

    @property
    def world(self) -> World:
        return self.session.world

    def tell(self, text: str) -> None:
        self.story.append(f"{datetime.now(UTC):%H:%M:%S.%f} {time.monotonic() - self.began:7.3f} {text}")

    # ------------------------------------------------------------------ the run

    async def run(self) -> Report:
        letters = len(await self._dead_letters())
        identities = await self._add_devices()
        fleet = self._fleet(identities)
        await self.session.client.subscribe(subjects.live_deployment(self.deployment_id), cb=self._heard)
        self.tell("devices start")
        async with fleet:
            await self._until(self._hellos_kept, "every hello was kept")
            began = time.monotonic()
            self.tell("ordered")
            await self._order(
                self.deployment_id, self.world.new, self.scenario.strategy, self.scenario.device_ids
            )
            try:
                await self._disturb_and_heal(fleet)
                await self._until(lambda: self._unrest(fleet), "all comes to rest")
                wrong: list[str] = []
            except AssertionError as error:
                wrong = [str(error)]
            evidence = await self._evidence(fleet, letters)
            wrong += problems(evidence)
            seconds = time.monotonic() - began
        for task in self.tasks:
            task.cancel()
        await self._forget_devices()
        views = [attempt.view for attempt in evidence.attempts]
        return Report(self.scenario, seconds, wrong, views, dict(evidence.states), self.story)

    async def _evidence(self, fleet: Fleet, letters: int) -> Evidence:
        world, second = self.world, self.scenario.second
        attempts = [Attempt(await self._view(self.deployment_id), world.new.sha256, self.scenario.strategy)]
        if second:
            attempts.append(Attempt(await self._view(self.second_id), world.next.sha256, second.strategy))
        return Evidence(
            scenario=self.scenario,
            attempts=attempts,
            states=fleet.states(),
            expected=await self._expected(),
            old=world.old.sha256,
            watch=self.watch,
            dead_letters=[
                f"{letter.durable} {letter.code} {letter.reason}"
                for letter in (await self._dead_letters())[letters:]
            ],
        )

    async def _disturb_and_heal(self, fleet: Fleet) -> None:
        disturbing = asyncio.create_task(self._disturb())
        ordering = asyncio.create_task(self._order_second())
        self.tasks |= {disturbing, ordering}
        faults_end = time.monotonic() + self.scenario.faults_for_s
        await self._until(
            lambda: self._turned(faults_end), "the deployment has done what it can, or the faults end"
        )
        await disturbing
        await ordering
        self.tell("faults end")
        fleet.end_faults()
        await asyncio.gather(*(fleet.restart(device_id) for device_id in self.scenario.unsure))

    async def _turned(self, faults_end: float) -> str | None:
        status = await self._status()
        done = status in RESTING or time.monotonic() > faults_end
        return None if done else f"it is {status}"

    # ------------------------------------------------------------------ before

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

    def _fleet(self, identities: list[Identity]) -> Fleet:
        urls = self.world.stack.urls
        old = self.world.old.bundle.data
        return Fleet(
            identities,
            servers=Servers(NatsSettings(url=urls.nats_url, creds=None), urls.mqtt_url),
            folder=self.folder,
            seed=self.scenario.seed,
            faults=self.scenario.plan,
            factory=old,
            habits=Habits(telemetry=False, reconnect_s=0.2),
            on_change=self._changed,
            on_holding=self._holds,
        )

    async def _order(self, id_: str, show: Show, strategy: Strategy, device_ids: Sequence[str]) -> None:
        body = RequestDeployment(
            deployment_id=id_,
            track_id=show.info.bundle.track_id,
            version=show.info.bundle.version,
            device_ids=list(device_ids),
            strategy=strategy,
            requested_at=datetime.now(UTC),
            requested_by="chaos",
        )
        await self._publish(subjects.DEPLOY_REQUESTED, body, id_)

    async def _order_second(self) -> None:
        second = self.scenario.second
        if second:
            await asyncio.sleep(second.after_s)
            self.tell(f"a second is ordered for {len(second.device_ids)} devices")
            await self._order(self.second_id, self.world.next, second.strategy, second.device_ids)

    async def _publish(self, subject: str, body: Any, about: str) -> None:
        envelope, data = make_event(subject, body, source="chaos", about=about)
        headers = envelope.headers()

        async def confirmed() -> str | None:
            try:
                await self.session.client.jetstream().publish(
                    subject, data, headers=headers, stream=streams.EVENTS, timeout=2
                )
            except Exception as error:  # noqa: BLE001  whatever it was, the same event may be sent again
                return repr(error)
            return None

        await self._until(confirmed, f"{subject} is confirmed")

    # ------------------------------------------------------------------ meanwhile

    async def _heard(self, message: Msg) -> None:
        self.changes += 1
        self.over = self.over or DeploymentChange.model_validate_json(message.data).status in RESTING
        self.news.set()

    def _changed(self, change: Change) -> None:
        if change.event in {"online", "offline", "fault"} or " " in change.event:
            self.tell(f"{change.device_id} {change.event} {change.detail or ''}")

    def _holds(self, holding: Holding) -> None:
        self.watch(holding)
        self.tell(
            f"{holding.device_id} holds {(holding.active or 'nothing')[:8]} + {[o[:8] for o in holding.others]} by {holding.command_ids}"
        )
        ailing = holding.device_id in self.scenario.ailing and holding.device_id not in self.alarmed
        if ailing and holding.active == self.world.new.sha256:
            self.alarmed.add(holding.device_id)
            self.tasks.add(asyncio.create_task(self._alarm(holding.device_id)))

    async def _alarm(self, device_id: str) -> None:
        """What the telemetry service says of a device that is not well."""
        await asyncio.sleep(self.rng.uniform(0.1, 1.0))
        [kind] = [_ALARMS[type(f)] for f in self.scenario.faults if f.devices == device_id]
        now = datetime.now(UTC)
        body = DeviceAlarm(
            device_id=device_id,
            kind=kind,
            level="alarm",
            state="raised",
            reason=f"{kind} too far",
            since=now,
            at=now,
        )
        self.tell(f"{device_id} alarm {kind}")
        await self._publish(subjects.DEVICE_ALARM, body, f"{device_id}/{now}")

    async def _disturb(self) -> None:
        for each in self.scenario.disturbances:
            await self._moment(each)
            self.tell(f"{each.kind} for {each.away_s:.2f} s, after {self.changes} changes")
            await getattr(self, f"_{each.kind}")(each)

    async def _moment(self, disturbance: Disturbance) -> None:
        try:
            async with asyncio.timeout(MOMENT_S):
                while self.changes < disturbance.after_changes and not self.over:
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            return

    async def _deploy(self, disturbance: Disturbance) -> None:
        self.rng.choice(self.world.deploys).kill(disturbance.away_s)

    async def _handover(self, _: Disturbance) -> None:
        """Told to end, a process gives its deployments back; it is started again."""
        self.rng.choice(self.world.deploys).signal(signal.SIGTERM)

    async def _stall(self, disturbance: Disturbance) -> None:
        """It does nothing for a while and then goes on as if nothing had been, without its leases."""
        deploy = self.rng.choice(self.world.deploys)
        deploy.signal(signal.SIGSTOP)
        await asyncio.sleep(disturbance.away_s)
        deploy.signal(signal.SIGCONT)

    async def _s3(self, disturbance: Disturbance) -> None:
        await self._restart("s3", disturbance.away_s)

    async def _nats(self, disturbance: Disturbance) -> None:
        await self._restart("nats", disturbance.away_s)

    async def _postgres(self, disturbance: Disturbance) -> None:
        await self._restart("postgres", disturbance.away_s)

    async def _restart(self, name: str, away_s: float) -> None:
        await asyncio.to_thread(self.world.stack.kill, name)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(self.world.stack.restart, name)
        self.tell(f"{name} runs again")

    async def _cancel(self, _: Disturbance) -> None:
        await self._control("cancel")

    async def _rollback(self, _: Disturbance) -> None:
        await self._control("rollback")

    async def _pause(self, disturbance: Disturbance) -> None:
        await self._control("pause")
        await asyncio.sleep(disturbance.away_s)
        await self._control("resume")

    async def _control(self, action: str) -> None:
        question = ControlDeployment.model_validate(
            {"deployment_id": self.deployment_id, "action": action, "requested_by": "chaos"}
        )
        answer = await self.session.ask(subjects.RPC_DEPLOYMENT_CONTROL, question, DeploymentView)
        self.tell(f"{action}: {answer.status} {getattr(answer, 'message', '')}")

    # ------------------------------------------------------------------ conditions: None when they hold

    async def _hellos_kept(self) -> str | None:
        away = {str(f.devices) for f in self.scenario.faults if f.fault == "offline" and f.step == "start"}
        missing = await self.session.pool.fetchval(
            "SELECT count(*) FROM deploy.devices WHERE id = ANY($1::text[]) AND NOT expected_known",
            sorted(set(self.scenario.device_ids) - away),
        )
        return f"{missing} are missing" if missing else None

    async def _unrest(self, fleet: Fleet) -> str | None:
        pool, ids = self.session.pool, self.scenario.device_ids
        closed = True
        for id_ in self._deployment_ids:
            row = await pool.fetchrow("SELECT status, closed FROM deploy.deployments WHERE id = $1", id_)
            if row is None or row["status"] not in ENDED:
                return f"{id_} is {row['status'] if row else 'not there'}"
            if not row["closed"] and self.scenario.guard_s < PATIENCE_S:
                return "the guard is not over"
            closed = closed and row["closed"]
        for what, query in (
            ("locks", "SELECT count(*) FROM deploy.device_locks WHERE device_id = ANY($1::text[])"),
            (
                "signals",
                "SELECT count(*) FROM deploy.signals WHERE $1::text[] IS NOT NULL",
            ),
            (
                "owned deployments",
                "SELECT count(*) FROM deploy.deployments WHERE owner IS NOT NULL AND $1::text[] IS NOT NULL",
            ),
            ("outbox rows", "SELECT count(*) FROM deploy.outbox WHERE $1::text[] IS NOT NULL"),
            (
                "devices rollback_pending",
                "SELECT count(*) FROM deploy.deployment_devices WHERE outcome = 'rollback_pending' AND device_id = ANY($1::text[])",
            ),
        ):
            if count := await pool.fetchval(query, ids):
                return f"{count} {what}"
        return self._restless(fleet, await self._expected(), closed=closed) or await self._unsettled()

    def _restless(self, fleet: Fleet, expected: dict[str, str | None], *, closed: bool) -> str | None:
        for state in fleet.states().values():
            active = state.active.bundle_sha256 if state.active else None
            if not state.online:
                return f"{state.device_id} is not online ({state.trouble})"
            if expected[state.device_id] != active or state.armed:
                return f"{state.device_id} runs {active}, should {expected[state.device_id]}, armed {state.armed}"
            if closed and state.staged:
                return f"{state.device_id} still holds {state.staged}"
        return None

    async def _unsettled(self) -> str | None:
        jetstream = self.session.client.jetstream()
        for durable in (streams.DEPLOY, streams.DEPLOY_DEVICES):
            info = await jetstream.consumer_info(durable.stream, durable.name)
            if count := (info.num_pending or 0) + (info.num_ack_pending or 0):
                return f"{count} messages for {durable.name}"
        return None

    async def _until(self, condition: Callable[[], Awaitable[str | None]], what: str) -> None:
        deadline, seen = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < deadline:
            try:
                seen = await condition()
            except _AWAY as error:
                seen = repr(error)
            if seen is None:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never: {what}; {seen}")

    # ------------------------------------------------------------------ what there is

    async def _status(self) -> str | None:
        return await self.session.pool.fetchval(
            "SELECT status FROM deploy.deployments WHERE id = $1", self.deployment_id
        )

    @property
    def _deployment_ids(self) -> list[str]:
        return [self.deployment_id, *([self.second_id] if self.scenario.second else [])]

    async def _view(self, deployment_id: str) -> DeploymentView:
        question = GetDeployment(deployment_id=deployment_id)
        return await self.session.ask(subjects.RPC_DEPLOYMENT_GET, question, DeploymentView)

    async def _expected(self) -> dict[str, str | None]:
        rows = await self.session.pool.fetch(
            "SELECT id, expected_sha256 FROM deploy.devices WHERE id = ANY($1::text[])",
            self.scenario.device_ids,
        )
        return {row["id"]: row["expected_sha256"] for row in rows}

    async def _dead_letters(self) -> list[Any]:
        return await list_dead_letters(self.session.client.jetstream())

    async def _forget_devices(self) -> None:
        """They are gone; nobody shall look for them in the next run."""
        await self.session.pool.execute(
            "UPDATE deploy.devices SET revoked_at = now() WHERE id = ANY($1::text[])",
            self.scenario.device_ids,
        )


async def run_scenario(world: World, scenario: Scenario) -> Report:
    """Run it on a world that runs."""
    world.run_deploys(scenario.processes, {"K1_DEPLOY_GUARD_SECONDS": str(scenario.guard_s)})
    folder = world.folder / f"devices-{scenario.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    async with world.open() as session:
        try:
            return await Rollout(session, scenario, folder, Random(scenario.seed)).run()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
