"""Computes growing pauses between retries and restarts, for every loop that must not retry at a fixed rate."""

import math
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class BackoffSchedule:
    """The pauses after the failures in a row of one operation; pure."""

    first_s: float
    """The pause after the first failure."""
    max_s: float = math.inf
    """The longest pause, before jitter."""
    factor: float = 2.0
    """The growth of the pause with each further failure; at least 1."""
    jitter: tuple[float, float] = (1.0, 1.0)
    """The range of the random number that multiplies the pause; it spreads the retries of many processes."""

    def pause_s(self, failures: int, rng: Random | None = None) -> float:
        """Return the seconds to wait after this many failures in a row (from 1); without `rng` there is no jitter."""
        try:
            grown_s = self.first_s * self.factor ** (failures - 1)
        except OverflowError:
            grown_s = self.max_s
        pause_s = min(grown_s, self.max_s)
        return pause_s if rng is None else pause_s * rng.uniform(*self.jitter)
