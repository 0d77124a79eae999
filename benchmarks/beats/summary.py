"""Summarises the results by group, as Markdown tables and JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.figures import markdown_table

from .cost import Cost
from .reliability import Reliability, reliability
from .scores import Scores

OVERALL = "all"
_COLUMNS = (
    ("F", "f"),
    ("Cemgil", "cemgil"),
    ("CMLt", "cmlt"),
    ("AMLt", "amlt"),
    ("downbeat F", "downbeat_f"),
    ("section F .5 s", "section_f_05"),
    ("section F 3 s", "section_f_3"),
    ("key", "key"),
    ("metre", "metre"),
    ("BPM acc1", "tempo_1"),
    ("BPM acc2", "tempo_2"),
)


@dataclass(frozen=True)
class Row:
    """The result of one tracker on one track."""

    tracker: str
    name: str
    group: str
    seconds: float
    """Wall time of the tracker."""
    audio_seconds: float
    scores: Scores


@dataclass(frozen=True)
class Means:
    """The means of one tracker over one group: scores, timing errors in ms, seconds per minute of audio."""

    tracks: int
    scores: dict[str, float | None]
    median_error_ms: float | None
    p95_error_ms: float | None
    bias_ms: float | None
    seconds_per_minute: float


def means(rows: Sequence[Row]) -> Means:
    errors = np.array([e for row in rows for e in row.scores.errors_ms])
    size = np.abs(errors)
    return Means(
        tracks=len(rows),
        scores={field: _mean(getattr(row.scores, field) for row in rows) for _, field in _COLUMNS},
        median_error_ms=float(np.median(size)) if len(size) else None,
        p95_error_ms=float(np.percentile(size, 95)) if len(size) else None,
        bias_ms=float(np.median(errors)) if len(size) else None,
        seconds_per_minute=60 * sum(r.seconds for r in rows) / sum(r.audio_seconds for r in rows),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def by_group(rows: Sequence[Row]) -> dict[str, dict[str, Means]]:
    """Return the means by tracker and group; the group `all` has every track."""
    out: dict[str, dict[str, Means]] = {}
    for tracker in dict.fromkeys(row.tracker for row in rows):
        tracker_rows = [row for row in rows if row.tracker == tracker]
        groups = dict.fromkeys(row.group for row in tracker_rows)
        out[tracker] = {g: means([r for r in tracker_rows if r.group == g]) for g in groups} | {
            OVERALL: means(tracker_rows)
        }
    return out


def calibration(rows: Sequence[Row]) -> dict[str, Reliability]:
    """Return the reliability of each tracker with a confidence: per track (F) and per beat (within 70 ms or not)."""
    tables: dict[str, Reliability | None] = {}
    for tracker in dict.fromkeys(row.tracker for row in rows):
        scores = [row.scores for row in rows if row.tracker == tracker]
        rated = [s for s in scores if s.confidence is not None]
        tables[f"{tracker}: tracks"] = reliability([s.confidence or 0.0 for s in rated], [s.f for s in rated])
        beats = [hit for s in scores for hit in s.beat_hits]
        tables[f"{tracker}: beats"] = reliability([c for c, _ in beats], [float(hit) for _, hit in beats])
    return {name: table for name, table in tables.items() if table}


def markdown(rows: Sequence[Row], costs: Sequence[Cost]) -> str:
    """Return the whole report as Markdown."""
    groups = by_group(rows)
    parts = ["## All tracks", _table(((t, g[OVERALL]) for t, g in groups.items()), "tracker")]
    parts += ["## F by group", _matrix(groups)]
    for tracker, table in groups.items():
        parts += [f"## {tracker} by group", _table(table.items(), "group")]
    for name, table in calibration(rows).items():
        parts += [f"## Calibration: {name}", _reliability_table(table)]
    if costs:
        parts += ["## Cost in a fresh, warmed process", _cost_table(costs)]
    return "\n\n".join(parts) + "\n"


def _cell(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _table(lines: Iterable[tuple[str, Means]], first: str) -> str:
    header = [
        first,
        "tracks",
        *(title for title, _ in _COLUMNS),
        "median ms",
        "p95 ms",
        "bias ms",
        "s per minute",
    ]
    return markdown_table(
        header,
        (
            [
                name,
                str(m.tracks),
                *(_cell(m.scores[field]) for _, field in _COLUMNS),
                _cell(m.median_error_ms, 1),
                _cell(m.p95_error_ms, 1),
                _cell(m.bias_ms, 1),
                _cell(m.seconds_per_minute, 2),
            ]
            for name, m in lines
        ),
    )


def _matrix(groups: dict[str, dict[str, Means]]) -> str:
    names = list(next(iter(groups.values())))
    lines = ([tracker, *(_cell(table[g].scores["f"]) for g in names)] for tracker, table in groups.items())
    return markdown_table(["tracker", *names], lines)


def _reliability_table(table: Reliability) -> str:
    header = ["confidence", "cases", "mean confidence", "mean outcome"]
    lines = (
        [f"{b.low:.1f}-{b.high:.1f}", str(b.count), _cell(b.confidence), _cell(b.outcome)] for b in table.bins
    )
    return f"{markdown_table(header, lines)}\n\nMean gap {table.expected_error:.3f}, correlation {table.correlation:.2f}."


def _cost_table(costs: Sequence[Cost]) -> str:
    header = ["tracker", "minutes of audio", "format", "wall s", "peak MiB of all its processes"]
    lines = (
        [c.tracker, _cell(c.audio_minutes, 1), c.file_format, _cell(c.seconds, 2), _cell(c.peak_mib, 0)]
        for c in costs
    )
    return markdown_table(header, lines)


def as_json(rows: Sequence[Row], costs: Sequence[Cost]) -> dict[str, object]:
    """Return all results as JSON."""
    return {
        "groups": {t: {g: asdict(m) for g, m in table.items()} for t, table in by_group(rows).items()},
        "calibration": {name: asdict(table) for name, table in calibration(rows).items()},
        "cost": [asdict(c) for c in costs],
        "tracks": [_row_json(row) for row in rows],
    }


def _row_json(row: Row) -> dict[str, object]:
    scores = {k: v for k, v in asdict(row.scores).items() if k not in ("errors_ms", "beat_hits")}
    known = np.abs(row.scores.errors_ms)
    return {
        "tracker": row.tracker,
        "name": row.name,
        "group": row.group,
        "seconds": row.seconds,
        "audio_seconds": row.audio_seconds,
        "median_error_ms": float(np.median(known)) if len(known) else None,
        **scores,
    }
