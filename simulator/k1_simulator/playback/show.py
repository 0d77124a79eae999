"""Plays a show: starts it at its activation time and sends readings."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from k1_contracts.messages.telemetry import TelemetryBody, TelemetrySample
from k1_simulator.faults.fault_injector import FaultInjector
from k1_simulator.playback.clock import DeviceClock
from k1_simulator.playback.sensors import ActiveFault, Sensors
from k1_simulator.state_machine.machine import Machine
from k1_simulator.state_machine.memory import Memory

_PLAYING_S: Final = 0.1
_IDLE_S: Final = 1.0
_BEHIND_MAX_S: Final = 1.0
"""Later readings are skipped, so that a pause is not followed by a burst."""


class Show:
    """The show of one device, from the device's start to its end."""

    def __init__(
        self, machine: Machine, clock: DeviceClock, faults: FaultInjector, rng: random.Random
    ) -> None:
        self._machine = machine
        self._clock = clock
        self._faults = faults
        self._rng = rng
        self._sensors = Sensors(rng)
        self._timer: asyncio.TimerHandle | None = None
        self._from_start = self._active_faults("start")
        self._from_activation: list[ActiveFault] = []

    def arm(self, at_ms: float, callback: Callable[[], None]) -> None:
        """Call `callback` when the device clock shows `at_ms`; this replaces an earlier timer."""
        self.disarm()
        left_s = self._clock.when(at_ms) - time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, left_s), callback)

    def disarm(self) -> None:
        """Cancel the timer; do nothing if there is none."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def start_activation_faults(self) -> None:
        """Start the telemetry faults of an activation."""
        self._from_activation = self._active_faults("activate")

    def end_activation_faults(self) -> None:
        """End the telemetry faults of an activation."""
        self._from_activation = []

    async def report(self, send: Callable[[bytes], Awaitable[None]], readings_a_message: int) -> None:
        """Send readings until cancelled; while a show plays, several may share a message."""
        due = time.monotonic() + self._rng.uniform(0, _IDLE_S)
        while True:
            await asyncio.sleep(due - time.monotonic())
            playing = self._machine.memory.active is not None
            count = readings_a_message if playing else 1
            # The readings of one message are taken at its end, each for its own time.
            readings = [self._reading(due - earlier * _PLAYING_S) for earlier in range(count - 1, -1, -1)]
            body = TelemetryBody(readings if count > 1 else readings[0])
            await send(body.model_dump_json(exclude_none=True).encode())
            period = count * _PLAYING_S if playing else _IDLE_S
            due = max(due + period, time.monotonic() - _BEHIND_MAX_S)

    def _reading(self, host_s: float) -> TelemetrySample:
        memory, now_ms = self._machine.memory, self._clock.show(host_s)
        return self._sensors.read(
            now_ms, memory.active, _position_ms(memory, now_ms), [*self._from_start, *self._from_activation]
        )

    def _active_faults(self, step: str) -> list[ActiveFault]:
        now_ms = self._clock.show(time.monotonic())
        return [ActiveFault(fault, now_ms) for fault in self._faults.telemetry_faults(step)]


def _position_ms(memory: Memory, now_ms: float) -> float | None:
    """Return where in its song the show is, or None before the song, after its end, and while there is none.

    Readings of one message are taken at its end, so the first ones may be older than the activation.
    """
    if memory.active is None or memory.active_since_ms is None:
        return None
    position_ms = now_ms - memory.active_since_ms
    return position_ms if 0 <= position_ms < (memory.active.duration_ms or math.inf) else None
