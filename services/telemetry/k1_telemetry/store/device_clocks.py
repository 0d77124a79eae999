"""Estimates the offset of each device's clock from the broker's clock; pure, callers pass the times in.

A message takes some time from the device to the broker. The shortest way within a window tells the offset best, so the
offset is the smallest difference between the arrival of a message and the device's time of its newest reading. The
window lets the estimate follow a clock that runs too fast or too slow.
"""

from typing import Final

WINDOW_MS: Final = 60_000.0
JUMP_MS: Final = 60_000.0
"""A message that seems later than this was not held back: the device's clock has jumped or begun again."""
MAX_AGE_MS: Final = 3_600_000.0
"""A reading that is older than its message by more than this has an impossible time."""
_HALF_WINDOW_MS: Final = WINDOW_MS / 2


class DeviceClock:
    """Estimates the offset of one clock: add it to the device's time to get the broker's time, both in ms."""

    __slots__ = ("_current_ms", "_previous_ms", "_since_ms")

    def __init__(self) -> None:
        self._current_ms: float | None = None
        self._previous_ms = 0.0
        self._since_ms = 0.0

    def update(self, device_ms: float, arrived_ms: float) -> float:
        """Record a message, whose newest reading was taken at `device_ms`; return the offset in ms."""
        difference_ms = arrived_ms - device_ms
        if self._current_ms is None or abs(difference_ms - self._offset_ms) > JUMP_MS:
            self._current_ms = self._previous_ms = difference_ms
            self._since_ms = arrived_ms
        elif arrived_ms - self._since_ms >= _HALF_WINDOW_MS:
            self._previous_ms, self._current_ms = self._current_ms, difference_ms
            self._since_ms = arrived_ms
        else:
            self._current_ms = min(self._current_ms, difference_ms)
        return self._offset_ms

    @property
    def _offset_ms(self) -> float:
        assert self._current_ms is not None
        return min(self._current_ms, self._previous_ms)


class DeviceClocks:
    """Holds the clock of each device that has sent something recently."""

    def __init__(self, max_devices: int = 20_000) -> None:
        self._clocks: dict[str, DeviceClock] = {}
        self._max_devices = max_devices

    def update(self, device_id: str, device_ms: float, arrived_ms: float) -> float:
        """Record a message of a device; return the offset of its clock in ms."""
        clock = self._clocks.get(device_id)
        if clock is None:
            if len(self._clocks) >= self._max_devices:
                del self._clocks[next(iter(self._clocks))]
            clock = self._clocks[device_id] = DeviceClock()
        return clock.update(device_ms, arrived_ms)
