"""Runs the beat benchmark: `python -m benchmarks.beats [--quick] [--folder FOLDER] [--compare OLD] [--out FOLDER]`."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from training.beats.songs import STYLES, FluidsynthMissingError

from . import cost, reliability, report, summary, trackers
from .annotations import DatasetError
from .comparison import changes, load_songs
from .dataset import AnnotatedTrack, annotated_folder, default_cache, generated_songs
from .evaluation import Row, Selection, evaluate

SONGS_PER_STYLE, SECONDS = 4, 110.0
QUICK_SONGS, QUICK_SECONDS = 1, 45.0
COST_FILES = ((4.0, "wav"), (4.0, "mp3"), (20.0, "mp3"))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beats", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short song per style, no cost measurement")
    parser.add_argument("--songs", type=int, default=SONGS_PER_STYLE, help="generated songs per style")
    parser.add_argument("--styles", nargs="+", default=list(STYLES), choices=list(STYLES), metavar="STYLE")
    parser.add_argument(
        "--folder",
        type=Path,
        action="append",
        default=[],
        help="audio with .json or .beats files; repeatable",
    )
    parser.add_argument("--no-generated", action="store_true", help="evaluate only the folders")
    parser.add_argument(
        "--trackers",
        nargs="+",
        default=list(trackers.ALL_TRACKERS),
        choices=trackers.ALL_TRACKERS,
        metavar="NAME",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        nargs="+",
        default=[],
        help="also evaluate these networks without the rest of the engine",
    )
    parser.add_argument("--jobs", type=int, default=1, help="songs at once; times are then not measured")
    parser.add_argument("--compare", type=Path, help="the results.json of an earlier run: print what changed")
    parser.add_argument("--no-cost", action="store_true", help="skip time and memory of long songs")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder for rendered songs")
    parser.add_argument(
        "--out", type=Path, default=Path("build/benchmarks/beats"), help="folder for the results"
    )
    return parser.parse_args()


def annotated_tracks(chosen: argparse.Namespace) -> Iterator[AnnotatedTrack]:
    if not chosen.no_generated:
        songs, seconds = (QUICK_SONGS, QUICK_SECONDS) if chosen.quick else (chosen.songs, SECONDS)
        yield from generated_songs(chosen.styles, songs, seconds, chosen.cache)
    for folder in chosen.folder:
        yield from annotated_folder(folder)


def main() -> None:
    chosen = options()
    selection = Selection(tuple(chosen.trackers), tuple(chosen.weights))
    rows: list[Row] = []
    try:
        old = load_songs(chosen.compare) if chosen.compare else None
        tracks = list(annotated_tracks(chosen))
        for track_rows in evaluate(tracks, selection, chosen.jobs):
            rows += track_rows
            results = ", ".join(f"{r.tracker} {r.scores.f:.2f}" for r in track_rows)
            print(f"{track_rows[0].name}: {results}", file=sys.stderr)
    except (FluidsynthMissingError, DatasetError) as error:
        sys.exit(f"error: {error}")
    uncertain = frozenset(track.name for track in tracks if track.level_uncertain)
    measured = [name for name in chosen.trackers if any(row.tracker == name for row in rows)]
    skip_cost = chosen.quick or chosen.no_cost or chosen.jobs > 1
    costs = [] if skip_cost else cost.measure(measured, COST_FILES)
    write(chosen.out, rows, costs, uncertain)
    if old is not None:
        print(changes(old, {(r.tracker, r.group, r.name): summary.row_json(r) for r in rows}))


def write(out: Path, rows: list[Row], costs: list[cost.Cost], uncertain: frozenset[str]) -> None:
    """Write tables, JSON and reliability plot to `out`, and print the tables."""
    out.mkdir(parents=True, exist_ok=True)
    text = report.markdown(rows, costs, uncertain)
    (out / "report.md").write_text(text)
    (out / "results.json").write_text(json.dumps(summary.as_json(rows, costs), indent=1))
    tables = summary.engine_calibrations(rows)
    if tables:
        reliability.plot(tables, out / "reliability.png")
    print(text)


if __name__ == "__main__":
    main()
