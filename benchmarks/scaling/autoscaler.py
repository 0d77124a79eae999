"""Decides the number of workers as KEDA and the HPA do for one trigger; pure, with the time as an argument.

KEDA polls the signal. It activates a deployment without pods when the signal is above 0, and deactivates it when the
signal has been 0 for the cooldown. In between the HPA computes `ceil(signal / target)`, adds pods at once and removes
one in each period.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The fields of a ScaledObject that decide."""

    target: int
    """Songs for each worker: its slots."""
    most: int
    polling_s: float
    cooldown_s: float
    removal_period_s: float
    """One worker is removed in each of these periods."""


@dataclass(slots=True)
class Autoscaler:
    """The state between two polls."""

    policy: Policy
    replicas: int = 0
    _active_at_s: float = 0.0
    _removed_at_s: float = -math.inf

    def poll(self, signal: float | None, now_s: float) -> int:
        """Return the number of workers after a poll at `now_s`; an unknown signal changes nothing."""
        if signal is None:
            return self.replicas
        if signal > 0:
            self._active_at_s = now_s
        wanted = min(self.policy.most, max(1, math.ceil(signal / self.policy.target)))
        if self.replicas == 0:
            self.replicas = 1 if signal > 0 else 0
        elif signal == 0 and now_s - self._active_at_s >= self.policy.cooldown_s:
            self.replicas = 0
        elif wanted > self.replicas:
            self.replicas = wanted
        elif wanted < self.replicas and now_s - self._removed_at_s >= self.policy.removal_period_s:
            self.replicas -= 1
            self._removed_at_s = now_s
        return self.replicas
