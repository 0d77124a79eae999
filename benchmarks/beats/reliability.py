"""Computes and plots reliability tables: stated confidence against measured outcome, on real and generated songs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

from .evaluation import Row
from .scores import Scores

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

Cases = Sequence[tuple[float, float]]
"""(confidence, outcome) pairs."""


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


@dataclass(frozen=True)
class Calibration:
    """The reliability of one confidence on one kind of songs."""

    level: str
    """`track`, `section`, `beat` or `tempo`."""
    songs: str
    """`real` or `generated`."""
    tempo: str
    """`all`, or what the map says: `grid` (one constant tempo) or `free`."""
    table: Reliability


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


def _one(confidence: float | None, outcome: float) -> Cases:
    return [] if confidence is None else [(confidence, outcome)]


LEVELS: dict[str, tuple[str, Callable[[Scores], Cases]]] = {
    "track": ("F of the song", lambda s: _one(s.confidence, s.f)),
    "section": ("F in the section", lambda s: s.section_hits),
    "beat": ("share of right beats", lambda s: [(c, float(hit)) for c, hit in s.beat_hits]),
    "tempo": ("share with tempo within 4 %", lambda s: _one(s.tempo_confidence, s.tempo_1)),
}
"""The outcome and the cases of each confidence."""


def calibrations(rows: Sequence[Row]) -> list[Calibration]:
    """Return the reliability of the rows of one tracker: by confidence, kind of song and constancy of the tempo."""
    out: list[Calibration] = []
    for songs, generated in (("real", False), ("generated", True)):
        of_kind = [row.scores for row in rows if row.generated == generated]
        parts = {
            "all": of_kind,
            "grid": [s for s in of_kind if s.constant_tempo is True],
            "free": [s for s in of_kind if s.constant_tempo is False],
        }
        for level, (_, cases_of) in LEVELS.items():
            for tempo, scores in parts.items():
                cases = [case for s in scores for case in cases_of(s)]
                table = reliability([c for c, _ in cases], [o for _, o in cases])
                if table:
                    out.append(Calibration(level, songs, tempo, table))
    return out


def plot(found: Sequence[Calibration], path: Path) -> None:
    """Plot outcome against confidence: a row for real and generated songs each, a column for each confidence."""
    kinds = [kind for kind in ("real", "generated") if any(c.songs == kind for c in found)]
    size = (4 * len(LEVELS), 4.2 * len(kinds))
    figure, grid = plt.subplots(len(kinds), len(LEVELS), figsize=size, layout="constrained", squeeze=False)
    for row, songs in zip(grid, kinds, strict=True):
        for axes, (level, (outcome, _)) in zip(row, LEVELS.items(), strict=True):
            axes.set(
                xlim=(0, 1.04),
                ylim=(-0.04, 1.09),
                xlabel=f"{level} confidence",
                ylabel=outcome,
                title=f"{songs} songs: {level}",
            )
            _draw(axes, [c for c in found if (c.songs, c.level) == (songs, level)])
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _draw(axes: Axes, found: Sequence[Calibration]) -> None:
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    styles = {"grid": ("tab:blue", "o", 7), "free": ("tab:orange", "s", -12)}
    for calibration in found:
        if calibration.tempo not in styles:
            continue
        color, marker, offset = styles[calibration.tempo]
        label = f"{calibration.tempo}: mean gap {calibration.table.expected_error:.2f}"
        x, y = ([getattr(b, name) for b in calibration.table.bins] for name in ("confidence", "outcome"))
        axes.plot(x, y, color=color, marker=marker, label=label)
        for b in calibration.table.bins:
            axes.annotate(
                str(b.count),
                (b.confidence, b.outcome),
                textcoords="offset points",
                xytext=(0, offset),
                ha="center",
                fontsize=8,
                color=color,
            )
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower left", fontsize=8)
