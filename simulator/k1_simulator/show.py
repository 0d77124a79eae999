"""What a device plays: the moment of an activation, and the readings while it plays."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from k1_contracts.devices import TelemetryBody, TelemetrySample
from k1_simulator.clock import DeviceClock
from k1_simulator.fault_box import FaultBox
from k1_simulator.machine import Machine
from k1_simulator.sensors import Onset, Sensors

_PLAYING_S: Final = 0.1
_IDLE_S: Final = 1.0
_BEHIND_MAX_S: Final = 1.0
"""Readings that are later than this are left out, so that a pause is not followed by a flood."""


class Show:
    """Of one device, from its start on."""

    def __init__(self, machine: Machine, clock: DeviceClock, faults: FaultBox, rng: random.Random) -> None:
        self._machine = machine
        self._clock = clock
        self._faults = faults
        self._rng = rng
        self._sensors = Sensors(rng)
        self._timer: asyncio.TimerHandle | None = None
        self._from_start = self._onsets("start")
        self._from_activation: list[Onset] = []

    def arm(self, at_ms: float, moment: Callable[[], None]) -> None:
        """Call `moment` when the device clock shows `at_ms`, in place of any other."""
        self.disarm()
        left_s = self._clock.when(at_ms) - time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, left_s), moment)

    def disarm(self) -> None:
        """Harmless when nothing is armed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def began(self) -> None:
        """An activation: what goes wrong with it goes wrong from now on."""
        self._from_activation = self._onsets("activate")

    def changed_back(self) -> None:
        """What an activation brought is over."""
        self._from_activation = []

    async def report(self, send: Callable[[bytes], Awaitable[None]], readings_a_message: int) -> None:
        """Readings for as long as the device runs; when it plays, several may share a message."""
        due = time.monotonic() + self._rng.uniform(0, _IDLE_S)
        while True:
            await asyncio.sleep(due - time.monotonic())
            playing = self._machine.memory.active is not None
            count = readings_a_message if playing else 1
            # Those of one message are read at its end, each for its own moment.
            readings = [self._reading(due - earlier * _PLAYING_S) for earlier in range(count - 1, -1, -1)]
            body = TelemetryBody(readings if count > 1 else readings[0])
            await send(body.model_dump_json(exclude_none=True).encode())
            period = count * _PLAYING_S if playing else _IDLE_S
            due = max(due + period, time.monotonic() - _BEHIND_MAX_S)

    def _reading(self, host_s: float) -> TelemetrySample:
        active = self._machine.memory.active
        return self._sensors.read(
            self._clock.show(host_s),
            track_id=active.track_id if active else None,
            playing=active is not None,
            wrong=[*self._from_start, *self._from_activation],
        )

    def _onsets(self, step: str) -> list[Onset]:
        now_ms = self._clock.show(time.monotonic())
        return [Onset(ailment, now_ms) for ailment in self._faults.ailments(step)]
