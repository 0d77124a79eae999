"""How much of a file the engine is willing to analyse."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one analysis."""

    max_minutes: float = 20.0
    """Longer songs are refused with `too_long`; a second more is forgiven, for encoders pad."""
    tracker_timeout_s: float = 120.0
    """How long each tracking process may take once the main one has nothing left to do."""
