"""Command line: `python -m benchmarks.beats [--quick] [--folder FOLDER] [--out FOLDER]`."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from training.beats.songs import STYLES, FluidsynthMissingError

from . import cost, peers, reliability, summary
from .engine import samples_of
from .material import Item, MaterialError, default_cache, from_folder, generated
from .scores import score
from .summary import Row

SONGS_PER_STYLE, SECONDS = 4, 110.0
QUICK_SONGS, QUICK_SECONDS = 1, 45.0
COST_FILES = ((4.0, "wav"), (4.0, "mp3"), (20.0, "mp3"))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beats", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short song a style, no cost measurement")
    parser.add_argument("--songs", type=int, default=SONGS_PER_STYLE, help="generated songs a style")
    parser.add_argument("--styles", nargs="+", default=list(STYLES), choices=list(STYLES), metavar="STYLE")
    parser.add_argument(
        "--folder", type=Path, action="append", default=[], help="audio with .beats files; repeatable"
    )
    parser.add_argument("--no-generated", action="store_true", help="only the folders")
    parser.add_argument(
        "--trackers", nargs="+", default=list(peers.SHIPPED), choices=peers.SHIPPED, metavar="NAME"
    )
    parser.add_argument(
        "--weights", type=Path, nargs="+", default=[], help="also rate these networks on their own"
    )
    parser.add_argument("--no-cost", action="store_true", help="skip time and memory of long songs")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder for rendered songs")
    parser.add_argument(
        "--out", type=Path, default=Path("build/benchmarks/beats"), help="folder for the results"
    )
    return parser.parse_args()


def items(chosen: argparse.Namespace) -> Iterator[Item]:
    if not chosen.no_generated:
        songs, seconds = (QUICK_SONGS, QUICK_SECONDS) if chosen.quick else (chosen.songs, SECONDS)
        yield from generated(chosen.styles, songs, seconds, chosen.cache)
    for folder in chosen.folder:
        yield from from_folder(folder)


def warm_up(item: Item, trackers: Mapping[str, peers.Tracker]) -> None:
    """Imports, compiled code and caches are not what is compared."""
    for track in trackers.values():
        track(item.path)


def rate(item: Item, trackers: Mapping[str, peers.Tracker]) -> Iterator[Row]:
    """Every tracker on one track. The peers get decoded samples; the engine's time includes decoding."""
    audio_seconds = len(samples_of(item.path)) / 44_100
    for name, track in trackers.items():
        begun = time.perf_counter()
        estimate = track(item.path)
        seconds = time.perf_counter() - begun
        yield Row(name, item.name, item.group, seconds, audio_seconds, score(item, estimate))


def main() -> None:
    chosen = options()
    trackers = peers.trackers(chosen.trackers, chosen.weights)
    rows: list[Row] = []
    try:
        for number, item in enumerate(items(chosen)):
            if number == 0:
                warm_up(item, trackers)
            mine = list(rate(item, trackers))
            rows += mine
            print(
                f"{item.name}: " + ", ".join(f"{r.tracker} {r.scores.f:.2f}" for r in mine), file=sys.stderr
            )
    except (FluidsynthMissingError, MaterialError) as error:
        sys.exit(f"error: {error}")
    measured = [name for name in trackers if not name.startswith("net ")]
    costs = [] if chosen.quick or chosen.no_cost else cost.measure(measured, COST_FILES)
    write(chosen.out, rows, costs)


def write(out: Path, rows: list[Row], costs: list[cost.Cost]) -> None:
    """Table, JSON and reliability plot into `out`; the table to the terminal too."""
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
