"""Runs the beat benchmark: `python -m benchmarks.beats [--quick] [--folder FOLDER] [--out FOLDER]`."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from training.beats.songs import STYLES, FluidsynthMissingError

from . import cost, reliability, summary, trackers
from .dataset import AnnotatedTrack, DatasetError, annotated_folder, default_cache, generated_songs
from .engine import samples_of
from .scores import score
from .summary import Row

SONGS_PER_STYLE, SECONDS = 4, 110.0
QUICK_SONGS, QUICK_SECONDS = 1, 45.0
COST_FILES = ((4.0, "wav"), (4.0, "mp3"), (20.0, "mp3"))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beats", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short song per style, no cost measurement")
    parser.add_argument("--songs", type=int, default=SONGS_PER_STYLE, help="generated songs per style")
    parser.add_argument("--styles", nargs="+", default=list(STYLES), choices=list(STYLES), metavar="STYLE")
    parser.add_argument(
        "--folder", type=Path, action="append", default=[], help="audio with .beats files; repeatable"
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


def warm_up(track: AnnotatedTrack, selected: Mapping[str, trackers.Tracker]) -> None:
    """Run each tracker once, so that imports, compilation and cold caches are not measured."""
    for tracker in selected.values():
        tracker(track.path)


def evaluate(track: AnnotatedTrack, selected: Mapping[str, trackers.Tracker]) -> Iterator[Row]:
    """Yield the result of each tracker. The other trackers get decoded samples; the engine's time includes decoding."""
    audio_seconds = len(samples_of(track.path)) / 44_100
    for name, tracker in selected.items():
        started = time.perf_counter()
        estimate = tracker(track.path)
        seconds = time.perf_counter() - started
        yield Row(name, track.name, track.group, seconds, audio_seconds, score(track, estimate))


def main() -> None:
    chosen = options()
    selected = trackers.load_trackers(chosen.trackers, chosen.weights)
    rows: list[Row] = []
    try:
        for number, track in enumerate(annotated_tracks(chosen)):
            if number == 0:
                warm_up(track, selected)
            track_rows = list(evaluate(track, selected))
            rows += track_rows
            print(
                f"{track.name}: " + ", ".join(f"{r.tracker} {r.scores.f:.2f}" for r in track_rows),
                file=sys.stderr,
            )
    except (FluidsynthMissingError, DatasetError) as error:
        sys.exit(f"error: {error}")
    measured = [name for name in selected if not name.startswith("net ")]
    costs = [] if chosen.quick or chosen.no_cost else cost.measure(measured, COST_FILES)
    write(chosen.out, rows, costs)


def write(out: Path, rows: list[Row], costs: list[cost.Cost]) -> None:
    """Write tables, JSON and reliability plot to `out`, and print the tables."""
    out.mkdir(parents=True, exist_ok=True)
    report = summary.markdown(rows, costs)
    (out / "report.md").write_text(report)
    (out / "results.json").write_text(json.dumps(summary.as_json(rows, costs), indent=1))
    tables = summary.calibration(rows)
    if tables:
        reliability.plot(tables, out / "reliability.png")
    print(report)


if __name__ == "__main__":
    main()
