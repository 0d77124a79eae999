"""Decides what follows an attempt: the delivery has ended, or is tried again after a pause. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from random import Random
from typing import Final

PAUSES: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""The schedule that Standard Webhooks recommends: ten attempts in three days."""
MAX_ATTEMPTS: Final = len(PAUSES) + 1
_JITTER: Final = (1.0, 1.2)
"""So that the deliveries of an outage do not come back at one moment."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a receiver answered."""

    status: int | None
    """None: there was no answer."""
    error: str | None
    """Why it does not count as delivered."""
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do with the delivery and its webhook."""

    delivered: bool = False
    pause: timedelta | None = None
    """Until the next attempt; None when the delivery has ended."""
    disable: str | None = None
    """Why the webhook is disabled."""


def next_step(attempt: Attempt, attempts: int, rng: Random) -> NextStep:
    """Return what follows the attempt with this number, from 1."""
    if attempt.error is None:
        return NextStep(delivered=True)
    if attempt.status == HTTPStatus.GONE:
        return NextStep(disable="the receiver answered 410 Gone")
    if attempts >= MAX_ATTEMPTS:
        return NextStep(disable=f"a delivery failed {attempts} times, the last time with: {attempt.error}")
    pause = PAUSES[attempts - 1] * rng.uniform(*_JITTER)
    asked = min(attempt.retry_after or timedelta(0), PAUSES[-1])
    return NextStep(pause=max(pause, asked))
