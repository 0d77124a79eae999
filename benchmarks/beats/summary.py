"""Summarises the results by tracker and group, and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from .comparison import Paired, interval, paired
from .cost import Cost
from .evaluation import Row, tracker_rows
from .readings import ERROR_KINDS
from .reliability import Calibration, calibrations
from .trackers import K1

OVERALL = "all"
MEAN_SCORES = (
    ("F", "f"),
    ("F, any level", "f_any"),
    ("CMLt", "cmlt"),
    ("AMLt", "amlt"),
    ("Cemgil", "cemgil"),
    ("downbeat F", "downbeat_f"),
    ("BPM acc1", "tempo_1"),
    ("BPM acc2", "tempo_2"),
)
ENGINE_SCORES = (
    ("key", "key"),
    ("metre", "metre"),
    ("section F .5 s", "section_f_05"),
    ("section F 3 s", "section_f_3"),
)
_PER_SONG = ("errors_ms", "beat_hits", "section_hits")
"""Long lists, which the JSON leaves out."""


@dataclass(frozen=True)
class Means:
    """The means of one tracker over one group: scores, timing errors in ms, seconds per minute of audio."""

    tracks: int
    failed: int
    scores: dict[str, float | None]
    errors: dict[str, int]
    """The number of songs by kind of error."""
    f_interval: tuple[float, float]
    """Bootstrap 95 % interval of the mean F."""
    median_error_ms: float | None
    p95_error_ms: float | None
    bias_ms: float | None
    seconds_per_minute: float | None
    """None if not measured."""


def means(rows: Sequence[Row]) -> Means:
    """Return the means of at least one row. A score that is unknown for a song does not count."""
    errors = np.array([e for row in rows for e in row.scores.errors_ms])
    size = np.abs(errors)
    seconds = [row.seconds for row in rows if row.seconds is not None]
    minutes = sum(row.audio_seconds for row in rows) / 60
    return Means(
        tracks=len(rows),
        failed=sum(row.failed for row in rows),
        scores={
            field: _mean(getattr(row.scores, field) for row in rows)
            for _, field in (*MEAN_SCORES, *ENGINE_SCORES)
        },
        errors={kind: sum(row.scores.error == kind for row in rows) for kind in ERROR_KINDS},
        f_interval=interval([row.scores.f for row in rows]),
        median_error_ms=float(np.median(size)) if len(size) else None,
        p95_error_ms=float(np.percentile(size, 95)) if len(size) else None,
        bias_ms=float(np.median(errors)) if len(size) else None,
        seconds_per_minute=sum(seconds) / minutes if len(seconds) == len(rows) else None,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def by_group(rows: Sequence[Row]) -> dict[str, dict[str, Means]]:
    """Return the means by tracker and group; the group `all` has every track."""
    return {
        tracker: {
            group: means([r for r in of_tracker if r.group == group])
            for group in dict.fromkeys(r.group for r in of_tracker)
        }
        | {OVERALL: means(of_tracker)}
        for tracker, of_tracker in tracker_rows(rows).items()
    }


def by_kind(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Split the rows into those of real and of generated songs; a kind without songs is left out."""
    kinds = {
        "real": [row for row in rows if not row.generated],
        "generated": [row for row in rows if row.generated],
    }
    return {kind: found for kind, found in kinds.items() if found}


def engine_calibrations(rows: Sequence[Row]) -> list[Calibration]:
    """Return the reliability of the engine's confidences."""
    return calibrations([row for row in rows if row.tracker == K1])


def engine_paired(rows: Sequence[Row]) -> list[Paired]:
    """Return the comparison of the engine with each other tracker; empty if the engine did not run."""
    return paired(rows, K1)


def as_json(rows: Sequence[Row], costs: Sequence[Cost]) -> dict[str, object]:
    """Return all results as JSON."""
    return {
        "groups": {
            kind: {t: {g: asdict(m) for g, m in table.items()} for t, table in by_group(found).items()}
            for kind, found in by_kind(rows).items()
        },
        "paired": {kind: [asdict(p) for p in engine_paired(found)] for kind, found in by_kind(rows).items()},
        "calibration": [asdict(c) for c in engine_calibrations(rows)],
        "cost": [asdict(c) for c in costs],
        "tracks": [row_json(row) for row in rows],
    }


def row_json(row: Row) -> dict[str, object]:
    """Return one row, flat, without its long lists."""
    scores = {k: v for k, v in asdict(row.scores).items() if k not in _PER_SONG}
    size = np.abs(row.scores.errors_ms)
    return {
        "tracker": row.tracker,
        "name": row.name,
        "group": row.group,
        "generated": row.generated,
        "failed": row.failed,
        "seconds": row.seconds,
        "audio_seconds": row.audio_seconds,
        "median_error_ms": float(np.median(size)) if len(size) else None,
        **scores,
    }
