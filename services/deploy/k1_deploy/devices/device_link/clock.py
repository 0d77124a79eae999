"""The clock of a device against ours, from a few round trips. Pure.

A device counts milliseconds from anywhere, its boot say. As in NTP (RFC 5905, section 8): with `sent` and
`returned` by our clock, `received` and `replied` by the device's, the offset is the mean of the differences on
the way there and back. It is wrong by half of what the two ways differ in length, so by at most half the round
trip: of several, the shortest counts.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One ping, in ms: `sent_ms` and `returned_ms` by our clock, `received_ms` and `replied_ms` by the device's."""

    sent_ms: float
    received_ms: float
    replied_ms: float
    returned_ms: float

    @property
    def duration_ms(self) -> float:
        """On the way, without the time that the device took to answer."""
        return (self.returned_ms - self.sent_ms) - (self.replied_ms - self.received_ms)

    @property
    def offset_ms(self) -> float:
        """Device clock minus ours."""
        # Differences first: the sums of large numbers would lose the fractions.
        return ((self.received_ms - self.sent_ms) + (self.replied_ms - self.returned_ms)) / 2

    @property
    def plausible(self) -> bool:
        """False for numbers that no two clocks could have shown."""
        there, back = self.duration_ms, self.replied_ms - self.received_ms
        return math.isfinite(there) and math.isfinite(self.offset_ms) and there >= 0 and back >= 0


def best_offset_ms(round_trips: Iterable[RoundTrip]) -> float | None:
    """The offset by the shortest plausible round trip; None when there is none."""
    plausible = [trip for trip in round_trips if trip.plausible]
    return min(plausible, key=lambda trip: trip.duration_ms).offset_ms if plausible else None


def to_device_ms(unix_ms: float, offset_ms: float) -> float:
    """A moment of ours on the device's clock."""
    return unix_ms + offset_ms


def to_unix_ms(device_ms: float, offset_ms: float) -> float:
    """A moment of the device on our clock."""
    return device_ms - offset_ms
