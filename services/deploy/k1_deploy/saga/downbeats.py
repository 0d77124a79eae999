"""Finds the next downbeat of a song that is playing. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta


class NoDownbeatError(ValueError):
    """The song has no downbeat at or after this time."""


def next_downbeat(downbeats_ms: Sequence[float], started_at: datetime, earliest: datetime) -> datetime:
    """Return the time of the first downbeat that is not before `earliest`.

    Args:
        downbeats_ms: positions in the song, rising.
        started_at: when its position 0 was played; may be in the future.
        earliest: the first moment at which an activation can be ready.

    Raises:
        NoDownbeatError: the song has ended by then, or has no downbeats.
    """
    position_ms = (earliest - started_at) / timedelta(milliseconds=1)
    index = bisect_left(downbeats_ms, position_ms)
    if index == len(downbeats_ms):
        raise NoDownbeatError(_beyond(downbeats_ms, position_ms))
    return started_at + timedelta(milliseconds=downbeats_ms[index])


def _beyond(downbeats_ms: Sequence[float], position_ms: float) -> str:
    if not downbeats_ms:
        return "the map of the song that plays has no downbeats; activate at a clock time, or now"
    return (
        f"the song that plays is at {position_ms / 1000:.1f} s and its last downbeat at "
        f"{downbeats_ms[-1] / 1000:.1f} s; start it again, or activate at a clock time, or now"
    )
