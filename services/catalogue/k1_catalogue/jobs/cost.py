"""Computes the cost of a job from what it used. Pure."""

from dataclasses import dataclass
from typing import Final

from k1_contracts.messages.analysis import JobCost

_SECONDS_PER_HOUR: Final = 3600
_BYTES_PER_GIB: Final = 2**30
_DECIMALS: Final = 9
"""A short job costs some millionths of a dollar."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job used."""

    cpu_s: float
    inference_s: float | None
    """The part of `cpu_s` that the network used; None: not measured."""
    bytes_stored: int


@dataclass(frozen=True, slots=True)
class Prices:
    """The price list, in US dollars."""

    cpu_hour: float
    gib_month: float
    keep_months: float
    """How long the artefacts are expected to be kept."""


def job_cost(usage: Usage, prices: Prices) -> JobCost:
    """Return the cost of the CPU time, and of the artefacts for the months that they are kept."""
    per_second = prices.cpu_hour / _SECONDS_PER_HOUR
    inference = round((usage.inference_s or 0.0) * per_second, _DECIMALS)
    processing = round(max(0.0, usage.cpu_s - (usage.inference_s or 0.0)) * per_second, _DECIMALS)
    storage = round(usage.bytes_stored / _BYTES_PER_GIB * prices.gib_month * prices.keep_months, _DECIMALS)
    return JobCost(
        cpu_s=usage.cpu_s,
        inference_s=usage.inference_s,
        bytes_stored=usage.bytes_stored,
        processing_usd=processing,
        inference_usd=None if usage.inference_s is None else inference,
        storage_usd=storage,
        total_usd=round(processing + inference + storage, _DECIMALS),
    )
