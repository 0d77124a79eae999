"""Formats the results as Markdown: real songs first, then generated ones."""

from collections.abc import Iterable, Sequence

from benchmarks.figures import markdown_table

from .comparison import Paired
from .cost import Cost
from .evaluation import Row
from .readings import ERROR_KINDS
from .reliability import LEVELS, Calibration
from .summary import (
    ENGINE_SCORES,
    MEAN_SCORES,
    OVERALL,
    Means,
    by_group,
    by_kind,
    engine_calibrations,
    engine_paired,
)
from .trackers import K1

_LEVEL_NOTE = (
    "Where the annotated level is uncertain ({uncertain} of {songs} songs), the scores take the better of the "
    'annotated beats and every other beat in either phase. "F, any level" takes the best of these and double for '
    "every song. Downbeats are known for {downbeats} songs."
)


def markdown(rows: Sequence[Row], costs: Sequence[Cost], uncertain: frozenset[str] = frozenset()) -> str:
    """Return the whole report.

    Args:
        rows: the results.
        costs: the measured cost of long songs; may be empty.
        uncertain: the names of the songs whose level is uncertain.
    """
    parts = [part for kind, found in by_kind(rows).items() for part in _kind(kind, found, uncertain)]
    for calibration in engine_calibrations(rows):
        parts += [_reliability(calibration)]
    if costs:
        parts += ["## Cost in a fresh, warmed process", _cost_table(costs)]
    return "\n\n".join(parts) + "\n"


def _kind(kind: str, rows: Sequence[Row], uncertain: frozenset[str]) -> Iterable[str]:
    groups = by_group(rows)
    songs = {(row.group, row.name) for row in rows}
    downbeats = {(row.group, row.name) for row in rows if row.scores.downbeat_f is not None}
    yield f"## All {kind} songs"
    yield _table(((t, g[OVERALL]) for t, g in groups.items()), "tracker")
    yield _LEVEL_NOTE.format(
        uncertain=sum(name in uncertain for _, name in songs), songs=len(songs), downbeats=len(downbeats)
    )
    if any(row.seconds is None for row in rows):
        yield "Times were not measured, because songs ran in parallel."
    yield f"## F by group, {kind} songs"
    yield _matrix(groups)
    if K1 in groups:
        yield f"## {K1} by group, {kind} songs"
        yield _table(groups[K1].items(), "group")
        yield f"## Errors of {K1}, {kind} songs"
        yield _engine_table(groups[K1])
    if comparisons := engine_paired(rows):
        yield f"## {K1} against each tracker, {kind} songs"
        yield _paired_table(comparisons)
    yield f"## Each song, {kind} songs"
    yield _song_table(rows)


def _cell(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _table(lines: Iterable[tuple[str, Means]], first: str) -> str:
    titles = [title for title, _ in MEAN_SCORES]
    header = [first, "n", "failed", *titles, "median ms", "p95 ms", "s per minute"]
    return markdown_table(
        header,
        (
            [
                name,
                str(m.tracks),
                str(m.failed),
                *(_cell(m.scores[field]) for _, field in MEAN_SCORES),
                _cell(m.median_error_ms, 1),
                _cell(m.p95_error_ms, 1),
                "not measured" if m.seconds_per_minute is None else _cell(m.seconds_per_minute, 2),
            ]
            for name, m in lines
        ),
    )


def _engine_table(groups: dict[str, Means]) -> str:
    titles = [title for title, _ in ENGINE_SCORES]
    header = ["group", "n", "F: 95 % interval", "wrong phase", "half", "double", "other", *titles, "bias ms"]
    return markdown_table(
        header,
        (
            [
                name,
                str(m.tracks),
                f"{m.f_interval[0]:.3f} to {m.f_interval[1]:.3f}",
                *(str(m.errors[kind]) for kind in ERROR_KINDS),
                *(_cell(m.scores[field]) for _, field in ENGINE_SCORES),
                _cell(m.bias_ms, 1),
            ]
            for name, m in groups.items()
        ),
    )


def _matrix(groups: dict[str, dict[str, Means]]) -> str:
    names = list(next(iter(groups.values())))
    lines = ([tracker, *(_cell(table[g].scores["f"]) for g in names)] for tracker, table in groups.items())
    return markdown_table(["tracker", *names], lines)


def _paired_table(comparisons: Sequence[Paired]) -> str:
    header = ["engine minus", "n", "mean difference in F", "95 % interval", "better", "worse"]
    return markdown_table(
        header,
        (
            [
                p.peer,
                str(p.songs),
                f"{p.difference:+.3f}",
                f"{p.low:+.3f} to {p.high:+.3f}",
                str(p.better),
                str(p.worse),
            ]
            for p in comparisons
        ),
    )


def _song_table(rows: Sequence[Row]) -> str:
    trackers = list(dict.fromkeys(row.tracker for row in rows))
    found = {(row.group, row.name, row.tracker): row for row in rows}
    songs = list(dict.fromkeys((row.group, row.name) for row in rows))
    header = [
        "song",
        "group",
        *(f"F: {tracker}" for tracker in trackers),
        "engine's error",
        "F, annotated level",
    ]
    lines: list[list[str]] = []
    for group, name in songs:
        engine = found.get((group, name, K1))
        scores = [found[group, name, tracker].scores.f for tracker in trackers]
        error = [engine.scores.error or "", _cell(engine.scores.f_annotated)] if engine else ["", ""]
        lines.append([name, group, *map(_cell, scores), *error])
    return markdown_table(header, lines)


def _reliability(calibration: Calibration) -> str:
    table, outcome = calibration.table, LEVELS[calibration.level][0]
    title = f"## Calibration of the {calibration.level} confidence, {calibration.songs} songs, {calibration.tempo}"
    header = ["confidence", "cases", "mean confidence", outcome]
    lines = (
        [f"{b.low:.1f}-{b.high:.1f}", str(b.count), _cell(b.confidence), _cell(b.outcome)] for b in table.bins
    )
    gap = f"Expected calibration error {table.expected_error:.3f}, correlation {table.correlation:.2f}."
    return f"{title}\n\n{markdown_table(header, lines)}\n\n{gap}"


def _cost_table(costs: Sequence[Cost]) -> str:
    header = ["tracker", "minutes of audio", "format", "wall s", "peak MiB of all its processes"]
    lines = (
        [c.tracker, _cell(c.audio_minutes, 1), c.file_format, _cell(c.seconds, 2), _cell(c.peak_mib, 0)]
        for c in costs
    )
    return markdown_table(header, lines)
