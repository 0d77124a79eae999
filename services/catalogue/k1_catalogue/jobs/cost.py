"""Computes the cost of a job from what it used. Pure."""

from dataclasses import dataclass
from typing import Final

from k1_contracts.messages.analysis import JobCost

_SECONDS_PER_HOUR: Final = 3600
_BYTES_PER_GIB: Final = 2**30
_DECIMALS: Final = 9
"""A short job costs some millionths of a dollar."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The price list, in US dollars."""

    cpu_hour: float
    gib_month: float
    keep_months: float
    """How long the artefacts are expected to be kept."""


def job_cost(cpu_s: float, bytes_stored: int, prices: Prices) -> JobCost:
    """Return the cost of the CPU time, and of the artefacts for the months that they are kept."""
    processing = round(cpu_s / _SECONDS_PER_HOUR * prices.cpu_hour, _DECIMALS)
    storage = round(bytes_stored / _BYTES_PER_GIB * prices.gib_month * prices.keep_months, _DECIMALS)
    return JobCost(
        cpu_s=cpu_s,
        bytes_stored=bytes_stored,
        processing_usd=processing,
        storage_usd=storage,
        total_usd=round(processing + storage, _DECIMALS),
    )
