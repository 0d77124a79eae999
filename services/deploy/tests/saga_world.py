"""A pure world for the saga: devices with faults, a network that loses, repeats and delays, processes that die.

Everything is a plain value or a generator: a process's work on a step is a generator that yields wherever
the process may die or others may go first. Time is a number that tests move.
"""

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from k1_contracts.messages.bundles import BundleRef
from k1_contracts.messages.deployments import ActivateNow, Strategy
from k1_contracts.messages.device_link import RunningBundle
from k1_deploy.saga.entries import (
    Intent,
    Locked,
    LogEntry,
    Opened,
    Outcome,
    TookOver,
    Unfit,
    command_id,
    from_json,
    to_json,
)
from k1_deploy.saga.signals import HealedSignal, Signal, receive
from k1_deploy.saga.state import LIVE, State
from k1_deploy.saga.steps import (
    ActivateBatch,
    DeviceStep,
    Step,
    TakeLocks,
    WaitUntil,
    Write,
    is_parked,
    next_steps,
)
from k1_deploy.saga.transitions import extend, fold

DEPLOYMENT = "dep_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
OLD, NEW = "a" * 64, "b" * 64
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEAD = timedelta(seconds=2)
BUNDLE = BundleRef(sha256=NEW, size=1000, track_id=TRACK, version=2)

Fault = Literal[
    "none",
    "lost",  # the command does not arrive
    "unanswered",  # it arrives, the answer does not
    "late",  # it arrives later, whatever has happened meanwhile
    "twice",
    "refused",
    "crash_old",  # after the activation it is away, and comes back with the old bundle
    "crash_new",  # and comes back with the new one
    "lie",  # it says that it activated and did not
]
FAULTS: tuple[Fault, ...] = (
    "none",
    "lost",
    "unanswered",
    "late",
    "twice",
    "refused",
    "crash_old",
    "crash_new",
    "lie",
)


@dataclass
class ModelDevice:
    """What a K1 does, without bytes."""

    id: str
    active: str = OLD
    staged: set[str] = field(default_factory=set)
    online: bool = True
    fence: int = 0
    armed: datetime | None = None
    on_activation: Fault = "none"
    answers: dict[str, bool] = field(default_factory=dict)
    discarded_active: bool = False

    def command(self, verb: str, id_: str, fence: int, at: datetime | None = None) -> bool | None:
        """True: done; False: refused; None: armed, the end comes later."""
        if fence < self.fence:
            return False
        self.fence = fence
        if id_ in self.answers:
            return self.answers[id_]
        answer = getattr(self, f"_{verb}")(at)
        if answer is not None:
            self.answers[id_] = answer
        return answer

    def holds(self, sha256: str) -> bool:
        return self.active == sha256 or sha256 in self.staged

    def _info(self, _at: datetime | None) -> bool:
        return True

    def _stage(self, _at: datetime | None) -> bool:
        self.staged.add(NEW)
        return True

    def _activate(self, at: datetime | None) -> bool | None:
        if self.active == NEW:
            return True
        if NEW not in self.staged:
            return False
        self.armed = at
        return None

    def _deactivate(self, _at: datetime | None) -> bool:
        self.armed = None
        if self.active != OLD:
            self._swap(OLD)
        return True

    def _discard(self, _at: datetime | None) -> bool:
        if self.active == NEW:
            self.discarded_active = True
            return False
        self.armed = None
        self.staged.discard(NEW)
        return True

    def _swap(self, to: str) -> None:
        assert to in self.staged, f"{self.id} has no playable bundle to change to"
        self.staged = (self.staged - {to}) | {self.active}
        self.active = to

    def tick(self, now: datetime) -> None:
        """The agreed moment has come."""
        if self.armed is None or now < self.armed or not self.holds(NEW):
            return
        self.armed = None
        if self.on_activation == "lie":
            return
        if self.on_activation in {"crash_old", "crash_new"}:
            self.online = False
        if self.on_activation != "crash_old" and self.active != NEW:
            self._swap(NEW)


@dataclass
class World:
    """The devices, the log, and the processes."""

    device_ids: list[str]
    strategy: Strategy
    now: datetime = START
    devices: dict[str, ModelDevice] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    in_flight: list[tuple[ModelDevice, str, str, int, datetime | None]] = field(default_factory=list)
    sequence: int = 0
    owner_fence: int = 0
    """Of the process that may write the log."""
    rollbacks: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.devices = {device_id: ModelDevice(device_id) for device_id in self.device_ids}
        opened = Opened(
            at=self.now,
            bundle=BUNDLE,
            device_ids=self.device_ids,
            strategy=self.strategy,
            activation=ActivateNow(),
            guard_s=600,
        )
        self.log.append(to_json(opened))

    @property
    def state(self) -> State:
        return fold(DEPLOYMENT, map(from_json, self.log))

    def draw_fence(self) -> int:
        self.sequence += 1
        return self.sequence

    def next_fault(self) -> Fault:
        return self.faults.pop(0) if self.faults else "none"

    def send(
        self, device: ModelDevice, verb: str, id_: str, fence: int, at: datetime | None = None
    ) -> bool | Literal["silence"] | None:
        """What a process hears: True, False, None (armed) or silence."""
        if verb in {"stage", "activate"}:
            # The intent registers the undo (test_saga_device.py), so it must stand before the command goes out.
            assert any(f'"{id_}"' in row for row in self.log), f"{verb} without an intent"
        fault = self.next_fault() if verb != "info" else "none"
        if verb == "activate" and fault in {"crash_old", "crash_new", "lie"}:
            device.on_activation = fault
        if fault == "late":
            self.in_flight.append((device, verb, id_, fence, at))
        if fault in {"lost", "late"} or not device.online:
            return "silence"
        if fault == "refused" and verb in {"stage", "activate", "deactivate"}:
            return False
        answer = device.command(verb, id_, fence, at)
        if fault == "twice":
            assert device.command(verb, id_, fence, at) == answer
        return "silence" if fault == "unanswered" else answer

    def deliver_late(self) -> None:
        device, verb, id_, fence, at = self.in_flight.pop(0)
        if device.online:
            device.command(verb, id_, fence, at)

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        for device in self.devices.values():
            device.tick(self.now)

    def expected(self, device_id: str) -> str:
        return NEW if self.state.devices[device_id].committed else OLD

    def locked(self, device_id: str) -> bool:
        state = self.state
        return state.devices[device_id].locked or (state.status in LIVE and state.status != "queued")

    def heal(self, device_id: str) -> None:
        """What healing does once a device is there and nobody holds it."""
        device = self.devices[device_id]
        if not device.online or self.locked(device_id):
            return
        device.on_activation = "none"
        device.armed = None
        device.fence = self.draw_fence()
        if device.active != self.expected(device_id):
            device._swap(self.expected(device_id))
        self.signals.append(HealedSignal(device_id=device_id, detail="healed"))


class StaleFenceError(Exception):
    """The log is another's."""


class Process:
    """One process that drives the saga; `world.log` is all that survives it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.fence = world.owner_fence = world.draw_fence()
        self.state = world.state
        self.works: dict[object, Generator[None, None, None]] = {}
        self.write(TookOver(at=world.now, owner=name, fence=self.fence))

    def write(self, *entries: LogEntry) -> None:
        if self.fence != self.world.owner_fence:
            raise StaleFenceError
        entries = tuple(entry for entry in entries if not isinstance(entry, Outcome) or self._expects(entry))
        self.state = extend(self.state, entries)
        self.world.log.extend(map(to_json, entries))

    def _expects(self, outcome: Outcome) -> bool:
        device = self.state.devices[outcome.device_id]
        return device.open is not None and device.open.step == outcome.step

    def take_signals(self) -> None:
        while self.world.signals:
            self.write(*receive(self.state, self.world.signals.pop(0), self.world.now))

    def reconcile(self) -> list[Step]:
        """Start what is due, stop what is not any more; decisions are written at once."""
        while True:
            self.take_signals()
            steps = next_steps(self.state, self.world.now)
            decisions = [step for step in steps if isinstance(step, (Write, TakeLocks))]
            if not decisions:
                break
            for step in decisions:
                self._decide(step)
        due = {_key(step): step for step in steps if not isinstance(step, WaitUntil)}
        self.works = {key: work for key, work in self.works.items() if key in due}
        for key, step in due.items():
            if key not in self.works:
                self.works[key] = self._work(step)
        return steps

    def _decide(self, step: Write | TakeLocks) -> None:
        if isinstance(step, Write):
            self.write(step.entry)
        else:
            # Healing draws a fence of its own, so whoever takes a device draws a newer one.
            self.fence = self.world.owner_fence = self.world.draw_fence()
            self.write(Locked(at=self.world.now, device_ids=list(step.device_ids)))

    def advance(self, index: int) -> bool:
        """One piece of work goes one point further."""
        if not self.works:
            return False
        key = sorted(self.works, key=repr)[index % len(self.works)]
        work = self.works[key]
        try:
            next(work)
        except StopIteration:
            self.works.pop(key, None)
        return True

    @property
    def parked(self) -> bool:
        return not self.works and is_parked(self.state, next_steps(self.state, self.world.now))

    def _work(self, step: Step) -> Generator[None, None, None]:
        if isinstance(step, ActivateBatch):
            return self._activate(step)
        assert isinstance(step, DeviceStep)
        return self._device_step(step)

    def _intent(self, step: str, device_id: str, round_: int = 0, at: datetime | None = None) -> Intent:
        return Intent.model_validate(
            {
                "at": self.world.now,
                "device_id": device_id,
                "step": step,
                "command_id": command_id(DEPLOYMENT, step, device_id, round_),
                "round": round_,
                "planned_for": at,
            }
        )

    def _outcome(self, step: str, device_id: str, problem: str | None, **more: object) -> Outcome:
        result = "failed" if problem else "done"
        values = {"at": self.world.now, "device_id": device_id, "step": step, "result": result}
        return Outcome.model_validate({**values, "reason": problem, **more})

    def _device_step(self, step: DeviceStep) -> Generator[None, None, None]:
        device = self.world.devices[step.device_id]
        if not step.under_way:
            self.write(self._intent(step.step, device.id))
        yield
        verb = {"check": "info", "verify": "info", "rollback": "deactivate"}.get(step.step, step.step)
        id_ = command_id(DEPLOYMENT, step.step, device.id, 0)
        answer: bool | str | None = "silence"
        for _ in range(2):
            answer = self.world.send(device, verb, id_, self.fence)
            yield
            if answer != "silence":
                break
        more: dict[str, object] = {}
        problem = None if answer is True else str(answer)
        if step.step == "check" and not problem:
            more["before"] = RunningBundle(bundle_sha256=device.active)
        if step.step == "verify" and not problem:
            problem = None if device.active == NEW else "it runs something else"
        if step.step == "rollback":
            problem = problem or (None if device.active == OLD else "it still runs it")
            self.world.rollbacks.append((self.state.devices[device.id].batch or 0, device.id))
        self.write(self._outcome(step.step, device.id, problem, **more))

    def _activate(self, step: ActivateBatch) -> Generator[None, None, None]:
        fresh = list(step.fresh)
        unfit = [device_id for device_id in fresh if not self.world.devices[device_id].online]
        yield
        armed = [device_id for device_id in fresh if device_id not in unfit]
        at = self.world.now + LEAD
        rounds = {device_id: self.state.devices[device_id].activations for device_id in armed}
        self.write(
            *(Unfit(at=self.world.now, device_id=each, reason="no clock") for each in unfit),
            *(self._intent("activate", each, rounds[each], at) for each in armed),
        )
        yield
        for device_id in [*step.armed, *armed]:
            yield from self._arm(device_id)
        while self.world.now < max([at, *self._moments(step.armed)]) + timedelta(seconds=1):
            yield
        for device_id in [*step.armed, *armed]:
            self._settle(device_id)
            yield

    def _moments(self, device_ids: tuple[str, ...]) -> Iterator[datetime]:
        for device_id in device_ids:
            planned = self.state.devices[device_id].planned_for
            if planned and planned > self.world.now:
                yield planned

    def _arm(self, device_id: str) -> Generator[None, None, None]:
        device, intent = self.world.devices[device_id], self.state.devices[device_id].open
        if intent is None or intent.step != "activate":
            return
        assert intent.planned_for is not None
        if intent.planned_for <= self.world.now:
            self.world.send(device, "info", "info", self.fence)  # so that it knows this process's fence
            if device.online and device.active != NEW:
                self.write(self._outcome("activate", device_id, None, result="interrupted"))
            return
        answer = self.world.send(device, "activate", intent.command_id, self.fence, intent.planned_for)
        yield
        if answer in {False, "silence"}:
            self.write(self._outcome("activate", device_id, "it was not armed in time"))

    def _settle(self, device_id: str) -> None:
        device, intent = self.world.devices[device_id], self.state.devices[device_id].open
        if intent is None or intent.step != "activate":
            return
        lies = device.on_activation == "lie"
        done = device.online and (device.active == NEW or lies)
        self.write(self._outcome("activate", device_id, None if done else "it did not activate"))


def _key(step: Step) -> object:
    if isinstance(step, ActivateBatch):
        return ("activate", step.batch)
    assert isinstance(step, DeviceStep)
    return (step.step, step.device_id)


def readable(log: list[str]) -> str:
    """The log for a failing test."""
    return "\n".join(json.dumps(json.loads(row)) for row in log)
