"""Lists the annotated songs of a fit: generated ones of the evaluation split, and those of annotated folders."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks.beats.dataset import AnnotatedTrack, annotated_folder, default_cache, generated_songs
from training.beats.songs import STYLES

SECONDS = 110.0
"""Length of a generated song."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the songs."""
    parser.add_argument("--songs", type=int, default=12, help="generated songs per style")
    parser.add_argument(
        "--folder", type=Path, action="append", default=[], help="annotated songs; repeatable"
    )


def annotated_tracks(options: argparse.Namespace) -> Iterator[AnnotatedTrack]:
    """Yield the songs that the options choose; the generated ones first."""
    yield from generated_songs(list(STYLES), options.songs, SECONDS, default_cache())
    for folder in options.folder:
        yield from annotated_folder(folder)
