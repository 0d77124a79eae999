"""Decides whether a request is within a rate, by the generic cell rate algorithm (GCRA). Pure.

The whole state is one time: when the allowance would be full again. Source: ITU-T I.371; the "virtual scheduling" form.
"""

from dataclasses import dataclass
from typing import Final

_SECOND_US: Final = 1_000_000
_MINUTE_US: Final = 60 * _SECOND_US


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests may come."""

    per_minute: int
    burst: int

    @property
    def interval_us(self) -> float:
        """Return the time in which one request is earned."""
        return _MINUTE_US / self.per_minute

    @property
    def window_s(self) -> float:
        """Return the time in which the whole burst is earned."""
        return self.burst * self.interval_us / _SECOND_US


@dataclass(frozen=True, slots=True)
class Grant:
    """What was taken, and the state after it."""

    count: int
    full_at_us: int
    """When the allowance is full again, in microseconds since the epoch."""
    remaining: int
    """Requests that could come at once after these."""
    wait_s: float
    """Seconds until one request is earned; 0 where one could come now."""
    reset_s: float
    """Seconds until the allowance is full."""


def take(rate: Rate, full_at_us: int | None, now_us: int, wanted: int) -> Grant:
    """Take up to `wanted` requests from an allowance; None is one that was never used.

    A state further in the future than any use could have made it comes from a clock that was set back; it counts as an
    empty allowance.
    """
    interval, capacity = rate.interval_us, rate.burst * rate.interval_us
    debt = min(max(0, (full_at_us or 0) - now_us), capacity)
    # States are whole microseconds: without the rounding, a caller that waited as it was told could come too early.
    free = min(rate.burst, int((capacity - debt + rate.burst) / interval))
    count = min(wanted, free)
    after = debt + count * interval
    wait_us = 0.0 if free else after + interval - capacity
    return Grant(count, now_us + round(after), free - count, wait_us / _SECOND_US, after / _SECOND_US)
