"""Trying again: how long to wait before the next try. Pure but for the randomness that is passed in."""

from random import Random
from typing import Final

_FIRST_S: Final = 0.2
_LONGEST_S: Final = 3.0


def backoff_s(attempt: int, rng: Random) -> float:
    """Seconds before try number `attempt` + 1 (from 1): doubling, and spread so that devices do not come at once."""
    return min(_FIRST_S * 2 ** (attempt - 1), _LONGEST_S) * rng.uniform(0.5, 1.0)
