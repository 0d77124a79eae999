"""A model of everything around the saga: devices with faults, an unreliable network, processes that die.

What to do comes from the real code (`plan_execution`, `entries_for`, `admit`); only the work itself is modelled. A process's
work on a step is a generator that yields wherever the process may die or others may go first. Tests move the time.
"""

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from k1_contracts.messages.deploy.bundles import BundleRef
from k1_contracts.messages.deploy.deployments import ActivateNow, Strategy
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_deploy.saga.entries import (
    CheckFailed,
    Intent,
    LeaseTakenOver,
    Locked,
    LogEntry,
    Opened,
    Outcome,
    QualityMeasured,
    command_id,
    from_json,
    to_json,
)
from k1_deploy.saga.execution import Decision, Work, WorkKey, plan_execution
from k1_deploy.saga.signals import ReconciledSignal, Signal, entries_for
from k1_deploy.saga.state import LOCKING, State
from k1_deploy.saga.steps import ActivateBatch, DeviceStep, MeasureQuality, WriteEntry
from k1_deploy.saga.transitions import admit, fold

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
    """A K1 without bytes."""

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
        """Return True: done; False: rejected; None: armed, the final reply comes later."""
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
        """Activate if the agreed moment has come."""
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
class SagaModel:
    """The devices, the log and the network."""

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
    """The fence of the process that may write the log."""

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
        """Return what the process receives: True, False, None (armed) or silence."""
        if verb in {"stage", "activate"}:
            # The intent registers the undo (test_saga_rules.py), so it must stand before the command goes out.
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
        return state.devices[device_id].locked or (state.status in LOCKING and state.status != "queued")

    def reconcile_device(self, device_id: str) -> None:
        """What the reconciler does once a device is connected and no deployment locks it."""
        device = self.devices[device_id]
        if not device.online or self.locked(device_id):
            return
        device.on_activation = "none"
        device.armed = None
        device.fence = self.draw_fence()
        if device.active != self.expected(device_id):
            device._swap(self.expected(device_id))
        self.signals.append(ReconciledSignal(device_id=device_id, detail="healed"))


class StaleFenceError(Exception):
    """Another process may write the log now."""


class ExecutorModel:
    """The executor of one process; only `model.log` survives it."""

    def __init__(self, model: SagaModel, name: str) -> None:
        self.model = model
        self.fence = model.owner_fence = model.draw_fence()
        self.state = model.state
        self.works: dict[WorkKey, Generator[None, None, None]] = {}
        self.write(LeaseTakenOver(at=model.now, owner=name, fence=self.fence))

    def write(self, *entries: LogEntry) -> bool:
        """Append the entries as the event log does: all, or none when they are not legal any more.

        Only an outcome may come too late, after its step was undone. Every other illegal entry is an error of the saga.
        """
        if self.fence != self.model.owner_fence:
            raise StaleFenceError
        for entry in entries:
            self._check_rollback_order(entry)
        state, [admitted] = admit(self.state, [entries])
        if not admitted:
            assert all(self._is_late(entry) for entry in entries), entries
            return False
        self.state = state
        self.model.log.extend(map(to_json, entries))
        return True

    def _check_rollback_order(self, entry: LogEntry) -> None:
        """When the whole deployment is rolled back, the newest batch comes first."""
        if isinstance(entry, Intent) and entry.step == "rollback" and self.state.status == "rolling_back":
            due = [each.batch or 0 for each in self.state.devices.values() if each.next_undo == "rollback"]
            assert (self.state.devices[entry.device_id].batch or 0) == max(due), entry

    def _is_late(self, entry: LogEntry) -> bool:
        if not isinstance(entry, Outcome):
            return False
        step = self.state.devices[entry.device_id].open
        return step is None or step.step != entry.step

    def take_signals(self) -> None:
        while self.model.signals:
            self.write(*entries_for(self.state, self.model.signals.pop(0), self.model.now))

    def run_turns(self) -> None:
        """Carry out the saga's plans, as the executor does, until one has no decisions."""
        while True:
            self.take_signals()
            plan = plan_execution(self.state, self.model.now)
            if not plan.decisions:
                break
            for decision in plan.decisions:
                self._decide(decision)
        for key in plan.to_stop(self.works):
            del self.works[key]
        for key, work in plan.to_start(self.works).items():
            self.works[key] = self._work(work)

    def _decide(self, step: Decision) -> None:
        if isinstance(step, WriteEntry):
            self.write(step.entry)
        else:
            # The reconciler draws a fence of its own, so whoever takes a device draws a newer one.
            self.fence = self.model.owner_fence = self.model.draw_fence()
            self.write(Locked(at=self.model.now, device_ids=list(step.device_ids)))

    def advance(self, index: int) -> bool:
        """Run one piece of work to its next yield."""
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
    def is_idle(self) -> bool:
        return not self.works and plan_execution(self.state, self.model.now).is_idle

    def _work(self, work: Work) -> Generator[None, None, None]:
        match work:
            case ActivateBatch():
                return self._activate(work)
            case MeasureQuality():
                return self._measure(work)
            case DeviceStep():
                return self._device_step(work)

    def _measure(self, step: MeasureQuality) -> Generator[None, None, None]:
        """Let a bar pass for each device; one whose activation was faulty drifts."""
        for device_id in step.device_ids:
            yield
            drifts = self.model.devices[device_id].on_activation in {"lie", "crash_old"}
            reason = "it drifts" if drifts else None
            self.write(
                QualityMeasured(
                    at=self.model.now, device_id=device_id, passed=not drifts, bars=1, reason=reason
                )
            )

    def _intent(self, step: str, device_id: str, round_: int = 0, at: datetime | None = None) -> Intent:
        return Intent.model_validate(
            {
                "at": self.model.now,
                "device_id": device_id,
                "step": step,
                "command_id": command_id(DEPLOYMENT, step, device_id, round_),
                "round": round_,
                "planned_for": at,
            }
        )

    def _outcome(self, step: str, device_id: str, problem: str | None, **more: object) -> Outcome:
        result = "failed" if problem else "done"
        values = {"at": self.model.now, "device_id": device_id, "step": step, "result": result}
        return Outcome.model_validate({**values, "reason": problem, **more})

    def _device_step(self, step: DeviceStep) -> Generator[None, None, None]:
        device = self.model.devices[step.device_id]
        if not step.under_way:
            self.write(self._intent(step.step, device.id))
        yield
        verb = {"check": "info", "verify": "info", "rollback": "deactivate"}.get(step.step, step.step)
        id_ = command_id(DEPLOYMENT, step.step, device.id, 0)
        answer: bool | str | None = "silence"
        for _ in range(2):
            answer = self.model.send(device, verb, id_, self.fence)
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
        self.write(self._outcome(step.step, device.id, problem, **more))

    def _activate(self, step: ActivateBatch) -> Generator[None, None, None]:
        fresh = list(step.fresh)
        unfit = [device_id for device_id in fresh if not self.model.devices[device_id].online]
        yield
        armed = [device_id for device_id in fresh if device_id not in unfit]
        at = self.model.now + LEAD
        rounds = {device_id: self.state.devices[device_id].activations for device_id in armed}
        self.write(
            *(CheckFailed(at=self.model.now, device_id=each, reason="no clock") for each in unfit),
            *(self._intent("activate", each, rounds[each], at) for each in armed),
        )
        yield
        for device_id in [*step.armed, *armed]:
            yield from self._arm(device_id)
        while self.model.now < max([at, *self._moments(step.armed)]) + timedelta(seconds=1):
            yield
        for device_id in [*step.armed, *armed]:
            self._settle(device_id)
            yield

    def _moments(self, device_ids: tuple[str, ...]) -> Iterator[datetime]:
        for device_id in device_ids:
            planned = self.state.devices[device_id].planned_for
            if planned and planned > self.model.now:
                yield planned

    def _arm(self, device_id: str) -> Generator[None, None, None]:
        device, intent = self.model.devices[device_id], self.state.devices[device_id].open
        if intent is None or intent.step != "activate":
            return
        assert intent.planned_for is not None
        if intent.planned_for <= self.model.now:
            self.model.send(device, "info", "info", self.fence)  # so that it knows this process's fence
            if device.online and device.active != NEW:
                self.write(self._outcome("activate", device_id, None, result="interrupted"))
            return
        answer = self.model.send(device, "activate", intent.command_id, self.fence, intent.planned_for)
        yield
        if answer in {False, "silence"}:
            self.write(self._outcome("activate", device_id, "it was not armed in time"))

    def _settle(self, device_id: str) -> None:
        device, intent = self.model.devices[device_id], self.state.devices[device_id].open
        if intent is None or intent.step != "activate":
            return
        lies = device.on_activation == "lie"
        done = device.online and (device.active == NEW or lies)
        self.write(self._outcome("activate", device_id, None if done else "it did not activate"))


def readable(log: list[str]) -> str:
    """Return the log for the message of a failing test."""
    return "\n".join(json.dumps(json.loads(row)) for row in log)
