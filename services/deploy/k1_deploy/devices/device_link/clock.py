"""Estimates the offset of a device's clock from a few round trips. Pure.

A device counts milliseconds from any moment, for example its boot. As in NTP (RFC 5905, section 8): with `sent` and
`returned` by the service's clock, `received` and `replied` by the device's, the offset is the mean of the differences
in both directions. Its error is half the difference of the two delays, so at most half the round trip; the shortest
round trip is used.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One ping, in ms: `sent_ms` and `returned_ms` by the service's clock, the others by the device's."""

    sent_ms: float
    received_ms: float
    replied_ms: float
    returned_ms: float

    @property
    def duration_ms(self) -> float:
        """The time in transit, without the time that the device took to reply."""
        return (self.returned_ms - self.sent_ms) - (self.replied_ms - self.received_ms)

    @property
    def offset_ms(self) -> float:
        """The device's clock minus the service's."""
        # Differences first: sums of large numbers would lose the fractions.
        return ((self.received_ms - self.sent_ms) + (self.replied_ms - self.returned_ms)) / 2

    @property
    def plausible(self) -> bool:
        """Whether two real clocks could have shown these times."""
        there, back = self.duration_ms, self.replied_ms - self.received_ms
        return math.isfinite(there) and math.isfinite(self.offset_ms) and there >= 0 and back >= 0


def best_offset_ms(round_trips: Iterable[RoundTrip]) -> float | None:
    """Return the offset by the shortest plausible round trip; None when there is none."""
    plausible = [trip for trip in round_trips if trip.plausible]
    return min(plausible, key=lambda trip: trip.duration_ms).offset_ms if plausible else None


def to_device_ms(unix_ms: float, offset_ms: float) -> float:
    """Convert Unix time to the device's clock."""
    return unix_ms + offset_ms


def to_unix_ms(device_ms: float, offset_ms: float) -> float:
    """Convert a time of the device's clock to Unix time."""
    return device_ms - offset_ms
