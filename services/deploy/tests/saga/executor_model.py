"""A model of the executor of one process, which may die at any moment.

What to do comes from the real code (`plan_execution`, `entries_for`, `admit`); only the work itself is modelled. A process's
work on a step is a generator that yields wherever the process may die or others may go first.
"""

from collections.abc import Generator, Iterator
from datetime import datetime, timedelta

from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_deploy.saga.entries import (
    CheckFailed,
    Intent,
    LeaseTakenOver,
    Locked,
    LogEntry,
    Outcome,
    QualityMeasured,
    command_id,
    to_json,
)
from k1_deploy.saga.execution import Decision, Work, WorkKey, plan_execution
from k1_deploy.saga.signals import entries_for
from k1_deploy.saga.steps import ActivateBatch, DeviceStep, MeasureQuality, WriteEntry
from k1_deploy.saga.transitions import admit
from services.deploy.tests.saga.saga_model import SagaModel
from services.deploy.tests.saga.sample_deployment import DEPLOYMENT, NEW, OLD

LEAD = timedelta(seconds=2)


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

        Only an outcome may come too late, after its step was undone, and a measurement, after its device failed. Every
        other illegal entry is an error of the saga.
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
        if isinstance(entry, QualityMeasured):
            return entry.device_id not in {device.id for device in self.state.unmeasured}
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
