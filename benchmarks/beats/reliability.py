"""What a confidence is worth: the score that tracks (or beats) of that confidence really had."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt


@dataclass(frozen=True)
class Bin:
    """One range of confidence: its share of the cases, what was promised, what came."""

    low: float
    high: float
    count: int
    confidence: float
    outcome: float


@dataclass(frozen=True)
class Reliability:
    """A reliability table. `expected_error` is the mean gap between promise and outcome, weighted by count."""

    bins: tuple[Bin, ...]
    expected_error: float
    correlation: float


def reliability(confidence: Sequence[float], outcome: Sequence[float], bins: int = 10) -> Reliability | None:
    """Bin the cases by confidence; None without cases."""
    if not confidence:
        return None
    promised, came = np.asarray(confidence, float), np.asarray(outcome, float)
    index = np.minimum((promised * bins).astype(int), bins - 1)
    rows = tuple(
        Bin(i / bins, (i + 1) / bins, int(m.sum()), float(promised[m].mean()), float(came[m].mean()))
        for i in range(bins)
        if (m := index == i).any()
    )
    gap = sum(r.count * abs(r.confidence - r.outcome) for r in rows) / len(promised)
    varies = promised.std() > 0 and came.std() > 0
    return Reliability(rows, gap, float(np.corrcoef(promised, came)[0, 1]) if varies else 0.0)


def plot(tables: dict[str, Reliability], path: Path) -> None:
    """Promise against outcome, one line a table; on the diagonal, 0.8 means 0.8."""
    figure, axes = plt.subplots(figsize=(6, 6), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfectly calibrated")
    for name, table in tables.items():
        x, y = [b.confidence for b in table.bins], [b.outcome for b in table.bins]
        axes.plot(x, y, marker="o", label=f"{name} (mean gap {table.expected_error:.3f})")
        for b in table.bins:
            axes.annotate(
                str(b.count),
                (b.confidence, b.outcome),
                textcoords="offset points",
                xytext=(4, -11),
                fontsize=7,
            )
    axes.set(
        xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="outcome", title="Confidence of the beats"
    )
    axes.legend(loc="upper left")
    figure.savefig(path, dpi=120)
    plt.close(figure)
