"""Simulates the clock of a device: it starts anywhere and runs slightly fast or slow; pure."""

import random
from dataclasses import dataclass

_SKEW_PPM = 20.0
_EPOCH_MAX_MS = 1e9


@dataclass(frozen=True, slots=True)
class DeviceClock:
    """Converts the seconds of the host's monotonic clock to the device's milliseconds."""

    started_s: float
    """The host time of the start."""
    epoch_ms: float
    """The device time at the start."""
    skew_ppm: float
    """The rate error, in parts per million."""

    @classmethod
    def random_clock(cls, rng: random.Random, started_s: float) -> "DeviceClock":
        """Return a plausible clock: crystals are accurate to about 20 ppm."""
        return cls(started_s, rng.uniform(0, _EPOCH_MAX_MS), rng.uniform(-_SKEW_PPM, _SKEW_PPM))

    @property
    def _rate(self) -> float:
        return 1000.0 * (1.0 + self.skew_ppm / 1e6)

    def show(self, host_s: float) -> float:
        """Return the device time at a host time."""
        return self.epoch_ms + (host_s - self.started_s) * self._rate

    def when(self, shown_ms: float) -> float:
        """Return the host time at a device time."""
        return self.started_s + (shown_ms - self.epoch_ms) / self._rate
