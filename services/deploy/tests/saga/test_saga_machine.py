"""The saga under random faults: in every order of events it ends, and no device is left between two bundles."""

from datetime import timedelta
from typing import cast

import hypothesis.strategies as st
from hypothesis import HealthCheck, event, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from k1_contracts.messages.deploy.deployments import Quality, Strategy
from k1_deploy.saga.entries import from_json
from k1_deploy.saga.signals import AlarmSignal, ControlSignal, HelloSignal
from k1_deploy.saga.transitions import fold
from services.deploy.tests.saga.device_model import FAULTS
from services.deploy.tests.saga.executor_model import ExecutorModel, StaleFenceError
from services.deploy.tests.saga.saga_model import SagaModel, readable
from services.deploy.tests.saga.sample_deployment import DEPLOYMENT, NEW, OLD

AFTER = timedelta(milliseconds=1)
ENDINGS = {"succeeded", "failed", "cancelled", "rolled_back"}


class SagaMachine(RuleBasedStateMachine):
    """Random rules: processes die and are replaced, devices disconnect and lie, people and alarms intervene."""

    @initialize(
        count=st.integers(1, 6),
        canary=st.integers(0, 2),
        batch_size=st.one_of(st.none(), st.integers(1, 3)),
        max_failures=st.one_of(st.integers(0, 3), st.sampled_from(["0%", "30%", "100%"])),
        observe=st.sampled_from([0.0, 5.0]),
        quality=st.sampled_from([None, Quality(max_drift_ms=20, bars=1)]),
        status=st.sampled_from(["checking", "staging", "activating", "activating", "observing", "succeeded"]),
    )
    def begin(
        self,
        *,
        count: int,
        canary: int,
        batch_size: int | None,
        max_failures: int | str,
        observe: float,
        quality: Quality | None,
        status: str,
    ) -> None:
        """Everything goes well until `status`."""
        strategy = Strategy(
            canary=canary,
            batch_size=batch_size,
            max_failures=max_failures,
            observe_seconds=observe,
            quality=quality,
        )
        self.model = SagaModel([f"k1-{number}" for number in range(count)], strategy)
        self.names = 0
        self.stalled: list[ExecutorModel] = []
        self._take_over()
        self._run_out(status)

    def _take_over(self) -> None:
        self.names += 1
        self.process = ExecutorModel(self.model, f"pod-{self.names}")
        self.process.run_turns()

    @rule(index=st.integers(0, 20), times=st.integers(1, 12))
    def work(self, index: int, times: int) -> None:
        """Some work goes on."""
        for _ in range(times):
            self.process.advance(index)
            self.process.run_turns()

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.model.advance(seconds)
        self.process.run_turns()

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=4))
    def the_network_misbehaves(self, faults: list) -> None:
        """Let the next commands meet these faults."""
        self.model.faults.extend(faults)

    @precondition(lambda self: self.model.in_flight)
    @rule()
    def a_command_arrives_late(self) -> None:
        self.model.deliver_late()

    @rule(stalls=st.booleans())
    def the_process_dies(self, stalls: bool) -> None:
        """Let another process take over; with `stalls` the old one does not notice that it was replaced."""
        if stalls:
            self.stalled.append(self.process)
        self._take_over()

    @precondition(lambda self: any(process.works for process in self.stalled))
    @rule(index=st.integers(0, 20))
    def a_replaced_process_goes_on(self, index: int) -> None:
        """Its commands carry an old fence; its writes fail, and then it stops."""
        process = next(process for process in self.stalled if process.works)
        try:
            process.advance(index)
        except StaleFenceError:
            process.works.clear()

    @rule(index=st.integers(0, 5))
    def a_device_goes(self, index: int) -> None:
        self._device(index).online = False

    @rule(index=st.integers(0, 5), reconciled=st.booleans())
    def a_device_comes_back(self, index: int, reconciled: bool) -> None:
        device = self._device(index)
        device.online = True
        if reconciled:
            self.model.reconcile_device(device.id)
        self.process.run_turns()

    @rule(index=st.integers(0, 5), kind=st.sampled_from(["drift", "temperature", "silence"]))
    def an_alarm_is_raised(self, index: int, kind: str) -> None:
        alarm = AlarmSignal.model_validate(
            {"device_id": self._device(index).id, "alarm": kind, "reason": kind, "raised_at": self.model.now}
        )
        self.model.signals.append(alarm)
        self.process.run_turns()

    @rule(index=st.integers(0, 5))
    def a_device_restarts_with_the_old_bundle(self, index: int) -> None:
        """During the observation, with a hello."""
        device = self._device(index)
        if self.process.state.devices[device.id].outcome == "active" and device.active == NEW:
            device._swap(OLD)
            device.online = True
            self.model.signals.append(HelloSignal(device_id=device.id, said_at=self.model.now + AFTER))
            self.process.run_turns()

    @rule(action=st.sampled_from(["pause", "pause", "resume", "resume", "cancel", "rollback"]))
    def a_person_intervenes(self, action: str) -> None:
        self.model.signals.append(ControlSignal.model_validate({"action": action, "by": "anna"}))
        self.process.run_turns()

    @invariant()
    def the_log_is_the_truth(self) -> None:
        """Folding the log again gives the state of the process."""
        if hasattr(self, "model"):
            assert fold(DEPLOYMENT, map(from_json, self.model.log)) == self.process.state

    @invariant()
    def every_device_can_play(self) -> None:
        """A running bundle is never discarded."""
        if hasattr(self, "model"):
            assert not any(device.discarded_active for device in self.model.devices.values())

    @invariant()
    def nothing_is_activated_before_all_is_staged(self) -> None:
        """While a device of those that go on is not staged, no device runs the new bundle."""
        if hasattr(self, "model"):
            state = self.process.state
            if state.status in {"queued", "checking", "staging"}:
                assert {device.active for device in self.model.devices.values()} == {OLD}

    def teardown(self) -> None:
        if hasattr(self, "model"):
            try:
                self._end()
            except AssertionError as error:
                raise AssertionError(f"{error}\n{readable(self.model.log)}") from error

    def _device(self, index: int):
        return self.model.devices[self.model.device_ids[index % len(self.model.device_ids)]]

    def _end(self) -> None:
        """From every state it ends; then all connected devices run the new bundle, or all the old one."""
        self.model.faults.clear()
        self.model.in_flight.clear()
        if self.process.state.paused:
            self.a_person_intervenes("resume")
        self._run_out()
        self._check_the_stage([d for d in self.model.devices.values() if d.online])
        for device in self.model.devices.values():
            device.online = True
            self.model.reconcile_device(device.id)
        self.model.advance(1000)
        self._run_out()
        assert self.process.state.status in ENDINGS
        event(self.process.state.status)
        self._check_the_stage(list(self.model.devices.values()))

    def _run_out(self, until: str | None = None) -> None:
        for turn in range(5000):
            self.process.run_turns()
            if self.process.is_idle or self.process.state.status == until:
                return
            self.process.advance(turn)
            self.model.advance(0.25)
        raise AssertionError("it does not end")

    def _check_the_stage(self, devices: list) -> None:
        state = self.process.state
        assert state.status in ENDINGS | {"rollback_pending"}
        for device in devices:
            mine = state.devices[device.id]
            if mine.outcome == "rollback_pending":
                continue  # until it has said hello
            assert device.active == (NEW if mine.committed else OLD), device
        if state.status == "succeeded":
            before_the_guard = [d for d in state.devices.values() if d.failed and d.activated_at is None]
            assert len(before_the_guard) <= max(state.allowed_failures, 0)
        else:
            assert not any(device.committed for device in state.devices.values())


SagaMachine.TestCase.settings = settings(
    max_examples=settings().max_examples * 5 // 2,  # 100, and 1,000 in a long run
    stateful_step_count=40,
    suppress_health_check=cast("list[HealthCheck]", list(HealthCheck)),
)
TestSaga = SagaMachine.TestCase


def test_a_replaced_process_cannot_arm_a_device_that_was_rolled_back() -> None:
    """It stalled between its intent and its command; by then the device knows a higher fence."""
    model = SagaModel(["k1-0"], Strategy(observe_seconds=0))
    device, stalled = model.devices["k1-0"], ExecutorModel(model, "one")
    stalled.run_turns()
    while stalled.state.devices["k1-0"].outcome != "activating":
        stalled.advance(0)
        stalled.run_turns()
    successor = ExecutorModel(model, "two")
    model.signals.append(ControlSignal(action="cancel", by="anna"))
    while successor.state.devices["k1-0"].outcome != "rolled_back":
        successor.run_turns()
        successor.advance(0)
    assert NEW in device.staged
    stalled.advance(0)
    model.advance(10)
    assert (device.active, device.armed) == (OLD, None)
