"""Limits of one analysis."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The greatest length of a song and the time limit of the trackers."""

    max_minutes: float = 20.0
    """Longer songs are refused with `too_long`; one second more is accepted, because encoders pad."""
    tracker_timeout_s: float = 120.0
    """Time limit of each tracking process, from the moment when the main process only waits for it."""
