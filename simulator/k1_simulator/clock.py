"""A device's clock: it begins anywhere at every start, and runs a little fast or slow; pure."""

import random
from dataclasses import dataclass

_SKEW_PPM = 20.0
_EPOCH_MAX_MS = 1e9


@dataclass(frozen=True, slots=True)
class DeviceClock:
    """Milliseconds since some moment, from the seconds of the host's monotonic clock."""

    started_s: float
    """Host time of the start."""
    epoch_ms: float
    """What the clock showed then."""
    skew_ppm: float
    """How much it gains, in millionths."""

    @classmethod
    def drawn(cls, rng: random.Random, started_s: float) -> "DeviceClock":
        """A plausible clock: crystals are good to some 20 ppm."""
        return cls(started_s, rng.uniform(0, _EPOCH_MAX_MS), rng.uniform(-_SKEW_PPM, _SKEW_PPM))

    @property
    def _rate(self) -> float:
        return 1000.0 * (1.0 + self.skew_ppm / 1e6)

    def show(self, host_s: float) -> float:
        """What the clock shows at a host time."""
        return self.epoch_ms + (host_s - self.started_s) * self._rate

    def when(self, shown_ms: float) -> float:
        """The host time at which it shows this."""
        return self.started_s + (shown_ms - self.epoch_ms) / self._rate
