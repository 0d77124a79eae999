"""Adds up the drift of readings; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from k1_contracts.messages.drift import OFF_MS, DriftFigures

_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class DriftSum:
    """The sums of some readings, which can be added to those of others."""

    readings: int = 0
    sum_ms: float = 0.0
    sum_abs_ms: float = 0.0
    max_abs_ms: float = 0.0
    off: int = 0
    """How many are off the beat: an absolute drift above OFF_MS."""

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """Return the sum of several."""
        known = list(parts)
        return cls(
            readings=sum(part.readings for part in known),
            sum_ms=sum(part.sum_ms for part in known),
            sum_abs_ms=sum(part.sum_abs_ms for part in known),
            max_abs_ms=max((part.max_abs_ms for part in known), default=0.0),
            off=sum(part.off for part in known),
        )

    @property
    def mean_abs_ms(self) -> float:
        """Return the mean absolute drift; 0 of no readings."""
        return self.sum_abs_ms / self.readings if self.readings else 0.0

    @property
    def is_off(self) -> bool:
        """Return whether the readings are off the beat on average."""
        return self.mean_abs_ms > OFF_MS

    def figures(self) -> DriftFigures | None:
        """Return the figures; None of no readings."""
        if not self.readings:
            return None
        return DriftFigures(
            readings=self.readings,
            mean_ms=round(self.sum_ms / self.readings, _DECIMALS),
            mean_abs_ms=round(self.mean_abs_ms, _DECIMALS),
            max_abs_ms=round(self.max_abs_ms, _DECIMALS),
            off_share=round(self.off / self.readings, _DECIMALS),
        )
