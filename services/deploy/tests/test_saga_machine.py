"""The saga against everything that can happen to it: whatever the order, it ends, and no stage is half-changed."""

from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import HealthCheck, event, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from k1_contracts.messages.deployments import Strategy
from k1_deploy.saga.entries import from_json
from k1_deploy.saga.signals import AlarmSignal, ControlSignal, HelloSignal
from k1_deploy.saga.transitions import fold
from services.deploy.tests.saga_world import (
    DEPLOYMENT,
    FAULTS,
    NEW,
    OLD,
    Process,
    StaleFenceError,
    World,
    readable,
)

AFTER = timedelta(milliseconds=1)
ENDINGS = {"succeeded", "failed", "cancelled", "rolled_back"}


class SagaMachine(RuleBasedStateMachine):
    """Processes work, die and are replaced; devices come, go and lie; people and alarms interfere."""

    @initialize(
        count=st.integers(1, 6),
        canary=st.integers(0, 2),
        batch_size=st.one_of(st.none(), st.integers(1, 3)),
        max_failures=st.one_of(st.integers(0, 3), st.sampled_from(["0%", "30%", "100%"])),
        observe=st.sampled_from([0.0, 5.0]),
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
        status: str,
    ) -> None:
        """Everything goes well until `status`."""
        strategy = Strategy(
            canary=canary, batch_size=batch_size, max_failures=max_failures, observe_seconds=observe
        )
        self.world = World([f"k1-{number}" for number in range(count)], strategy)
        self.names = 0
        self.zombies: list[Process] = []
        self._take_over()
        self._run_out(status)

    def _take_over(self) -> None:
        self.names += 1
        self.process = Process(self.world, f"pod-{self.names}")
        self.process.reconcile()

    @rule(index=st.integers(0, 20), times=st.integers(1, 12))
    def work(self, index: int, times: int) -> None:
        """Some work goes on."""
        for _ in range(times):
            self.process.advance(index)
            self.process.reconcile()

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)
        self.process.reconcile()

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=4))
    def the_network_misbehaves(self, faults: list) -> None:
        """The next commands meet these faults."""
        self.world.faults.extend(faults)

    @precondition(lambda self: self.world.in_flight)
    @rule()
    def a_command_arrives_late(self) -> None:
        self.world.deliver_late()

    @rule(zombie=st.booleans())
    def the_process_dies(self, zombie: bool) -> None:
        """Or only stalls, and does not know that it was replaced."""
        if zombie:
            self.zombies.append(self.process)
        self._take_over()

    @precondition(lambda self: any(zombie.works for zombie in self.zombies))
    @rule(index=st.integers(0, 20))
    def a_replaced_process_goes_on(self, index: int) -> None:
        """Its commands carry an old fence; its writes fail, and then it stops."""
        zombie = next(zombie for zombie in self.zombies if zombie.works)
        try:
            zombie.advance(index)
        except StaleFenceError:
            zombie.works.clear()

    @rule(index=st.integers(0, 5))
    def a_device_goes(self, index: int) -> None:
        self._device(index).online = False

    @rule(index=st.integers(0, 5), heals=st.booleans())
    def a_device_comes_back(self, index: int, heals: bool) -> None:
        device = self._device(index)
        device.online = True
        if heals:
            self.world.heal(device.id)
        self.process.reconcile()

    @rule(index=st.integers(0, 5), kind=st.sampled_from(["drift", "temperature", "silence"]))
    def an_alarm_is_raised(self, index: int, kind: str) -> None:
        alarm = AlarmSignal.model_validate(
            {"device_id": self._device(index).id, "alarm": kind, "reason": kind, "raised_at": self.world.now}
        )
        self.world.signals.append(alarm)
        self.process.reconcile()

    @rule(index=st.integers(0, 5))
    def a_device_restarts_with_the_old_bundle(self, index: int) -> None:
        """While it is watched, and says so."""
        device = self._device(index)
        if self.process.state.devices[device.id].outcome == "active" and device.active == NEW:
            device._swap(OLD)
            device.online = True
            self.world.signals.append(HelloSignal(device_id=device.id, said_at=self.world.now + AFTER))
            self.process.reconcile()

    @rule(action=st.sampled_from(["pause", "pause", "resume", "resume", "cancel", "rollback"]))
    def a_person_intervenes(self, action: str) -> None:
        self.world.signals.append(ControlSignal.model_validate({"action": action, "by": "anna"}))
        self.process.reconcile()

    @invariant()
    def the_log_is_the_truth(self) -> None:
        """Folding the log anew gives what the process holds."""
        if hasattr(self, "world"):
            assert fold(DEPLOYMENT, map(from_json, self.world.log)) == self.process.state

    @invariant()
    def every_device_can_play(self) -> None:
        """A running bundle is never discarded."""
        if hasattr(self, "world"):
            assert not any(device.discarded_active for device in self.world.devices.values())

    @invariant()
    def nothing_is_activated_before_all_is_staged(self) -> None:
        """While a device of those that go on is not staged, no device runs the new bundle."""
        if hasattr(self, "world"):
            state = self.process.state
            if state.status in {"queued", "checking", "staging"}:
                assert {device.active for device in self.world.devices.values()} == {OLD}

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self._end()
            except AssertionError as error:
                raise AssertionError(f"{error}\n{readable(self.world.log)}") from error

    def _device(self, index: int):
        return self.world.devices[self.world.device_ids[index % len(self.world.device_ids)]]

    def _end(self) -> None:
        """From wherever it is it ends; then, among the devices that are there, all is new or all is old."""
        self.world.faults.clear()
        self.world.in_flight.clear()
        if self.process.state.paused:
            self.a_person_intervenes("resume")
        self._run_out()
        self._check_the_stage([d for d in self.world.devices.values() if d.online])
        for device in self.world.devices.values():
            device.online = True
            self.world.heal(device.id)
        self.world.advance(1000)
        self._run_out()
        assert self.process.state.status in ENDINGS
        event(self.process.state.status)
        self._check_the_stage(list(self.world.devices.values()))

    def _run_out(self, until: str | None = None) -> None:
        for turn in range(5000):
            self.process.reconcile()
            if self.process.parked or self.process.state.status == until:
                return
            self.process.advance(turn)
            self.world.advance(0.25)
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
    max_examples=300, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)
TestSaga = SagaMachine.TestCase


def test_a_replaced_process_cannot_arm_a_device_that_was_taken_back() -> None:
    """It stalled between its intent and its command; by then the device knows a higher fence."""
    world = World(["k1-0"], Strategy(observe_seconds=0))
    device, stalled = world.devices["k1-0"], Process(world, "one")
    stalled.reconcile()
    while stalled.state.devices["k1-0"].outcome != "activating":
        stalled.advance(0)
        stalled.reconcile()
    successor = Process(world, "two")
    world.signals.append(ControlSignal(action="cancel", by="anna"))
    while successor.state.devices["k1-0"].outcome != "rolled_back":
        successor.reconcile()
        successor.advance(0)
    assert NEW in device.staged
    stalled.advance(0)
    world.advance(10)
    assert (device.active, device.armed) == (OLD, None)
