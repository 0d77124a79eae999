"""Computes and plots reliability tables: stated confidence against measured outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt


@dataclass(frozen=True)
class Bin:
    """A range of confidence: number of cases, mean confidence, mean outcome."""

    low: float
    high: float
    count: int
    confidence: float
    outcome: float


@dataclass(frozen=True)
class Reliability:
    """A reliability table. `expected_error` is the expected calibration error: the mean gap, weighted by count."""

    bins: tuple[Bin, ...]
    expected_error: float
    correlation: float


def reliability(confidence: Sequence[float], outcome: Sequence[float], bins: int = 10) -> Reliability | None:
    """Group the cases into bins by confidence. Returns None without cases."""
    if not confidence:
        return None
    stated, measured = np.asarray(confidence, float), np.asarray(outcome, float)
    index = np.minimum((stated * bins).astype(int), bins - 1)
    rows = tuple(
        Bin(i / bins, (i + 1) / bins, int(m.sum()), float(stated[m].mean()), float(measured[m].mean()))
        for i in range(bins)
        if (m := index == i).any()
    )
    gap = sum(r.count * abs(r.confidence - r.outcome) for r in rows) / len(stated)
    varies = stated.std() > 0 and measured.std() > 0
    return Reliability(rows, gap, float(np.corrcoef(stated, measured)[0, 1]) if varies else 0.0)


def plot(tables: dict[str, Reliability], path: Path) -> None:
    """Plot outcome against confidence, one line per table; the diagonal is perfect calibration."""
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
