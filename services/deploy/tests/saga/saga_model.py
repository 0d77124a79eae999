"""A model of everything around the executors of a deployment: devices with faults, an unreliable network, the log.

Tests move the time.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from k1_contracts.messages.deploy.deployments import ActivateNow, Strategy
from k1_deploy.saga.entries import Opened, from_json, to_json
from k1_deploy.saga.signals import ReconciledSignal, Signal
from k1_deploy.saga.state import LOCKING, State
from k1_deploy.saga.transitions import fold
from services.deploy.tests.saga.device_model import Fault, ModelDevice
from services.deploy.tests.saga.sample_deployment import BUNDLE, DEPLOYMENT, NEW, OLD, START


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


def readable(log: list[str]) -> str:
    """Return the log for the message of a failing test."""
    return "\n".join(json.dumps(json.loads(row)) for row in log)
