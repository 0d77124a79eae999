"""Renders training songs once and caches their features, one small .npz per song; reads songs labelled elsewhere."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.features import log_spectrogram
from training.beats.songs import TRAINING_STYLES, Song, Split, make_song
from training.beats.songs.training_only.performance import Subset, perform, performances

GENERATOR_VERSION = 1
"""Part of the cache's folder name: raise it whenever the songs of a seed change."""

SONGS_PER_STYLE: dict[str, int] = {
    "edm": 34,
    "rock": 28,
    "pop": 28,
    "funk": 18,
    "orchestral": 30,
    "legato": 24,
    "jazz": 24,
    "hiphop": 22,
    "odd": 16,
    "compound": 24,
    "drumless": 24,
    "rubato": 22,
} | dict.fromkeys((style for style in TRAINING_STYLES if style != "ternary"), 48)
SUPPLEMENT: dict[str, range] = {
    "ternary": range(50),
    "compound": range(24, 44),
    "orchestral": range(30, 60),
    "legato": range(24, 40),
}
"""Further songs of the styles on which trainings with the songs above lost: indices from the first to past the last."""
VALIDATION_SONGS_PER_STYLE = 1
SONG_SECONDS = 28.0
LONG_PERFORMANCE_BYTES = 8_000
"""Size of a MIDI file of about a minute of drumming."""
EXCERPTS_OF_LONG = 3


@dataclass(frozen=True)
class Example:
    """The features and the beats of one song."""

    name: str
    log_bands: NDArray[np.float16]
    """(T, 82) log spectrum at 100 frames a second."""
    beats: NDArray[np.float64]
    """Seconds."""
    positions: NDArray[np.int64]
    """Position of each beat in its bar, from 1; all 0 where the bars are unknown."""
    mask: NDArray[np.bool_] | None = None
    """(T,) frames whose beats are known; None means all."""

    @property
    def knows_bars(self) -> bool:
        return bool((self.positions > 0).any())


@dataclass(frozen=True)
class Recipe:
    """A song that can be made: its name in the cache, and the function that makes it, or None if it is unusable."""

    name: str
    make: Callable[[], Song | None]


def default_cache() -> Path:
    """Return the folder of the cached features, unless the caller gives another."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "k1" / "beats-training"


def plan(split: Split) -> list[tuple[str, int]]:
    """Return (style, index) of every song of a split, one style after the other in turn."""
    counts = (
        SONGS_PER_STYLE if split == "training" else dict.fromkeys(SONGS_PER_STYLE, VALIDATION_SONGS_PER_STYLE)
    )
    return [(style, i) for i in range(max(counts.values())) for style, count in counts.items() if i < count]


def generated(split: Split) -> list[Recipe]:
    """Return the recipes of all generated songs of a split."""
    return [_recipe(style, index, split) for style, index in plan(split)]


def supplement() -> list[Recipe]:
    """Return the recipes of the supplement of the training."""
    return [_recipe(style, index, "training") for style, indices in SUPPLEMENT.items() for index in indices]


def _recipe(style: str, index: int, split: Split) -> Recipe:
    name = f"{style.replace(' ', '-')}-{index:03d}"
    return Recipe(name, partial(make_song, style, index, split, SONG_SECONDS))


def performed(folder: Path, split: Split) -> list[Recipe]:
    """Return the recipes of excerpts of human drumming, more of long performances.

    Raises:
        DatasetMissingError: the folder does not hold the Groove MIDI Dataset.
    """
    subsets: dict[Split, Subset] = {"training": "train", "validation": "validation", "evaluation": "test"}
    recipes: list[Recipe] = []
    for performance in performances(folder, subsets[split]):
        long = split == "training" and performance.path.stat().st_size > LONG_PERFORMANCE_BYTES
        recipes += [
            Recipe(
                f"groove-{performance.name}-{index}",
                partial(perform, performance, index, split, SONG_SECONDS),
            )
            for index in range(EXCERPTS_OF_LONG if long else 1)
        ]
    return recipes


def all_recipes(groove: Path | None, split: Split) -> list[Recipe]:
    """Return generated and played songs, mixed evenly, so that the first few are a fair sample."""
    kinds = [generated(split), performed(groove, split) if groove else []]
    placed = [(index / len(kind), recipe) for kind in kinds for index, recipe in enumerate(kind)]
    return [recipe for _, recipe in sorted(placed, key=lambda place: place[0])]


def examples(split: Split, recipes: Sequence[Recipe], cache: Path, jobs: int = 1) -> Iterator[Example]:
    """Yield the examples of the usable recipes, rendering what the cache lacks in `jobs` processes."""
    folder = cache / f"v{GENERATOR_VERSION}" / split
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{recipe.name}.npz" for recipe in recipes]
    missing = [(recipe, path) for recipe, path in zip(recipes, paths, strict=True) if not path.exists()]
    if missing:
        with ProcessPoolExecutor(jobs) as pool:
            list(pool.map(_store, *zip(*missing, strict=True)))
    for path in paths:
        example = read(path)
        if len(example.beats):
            yield example


def labelled(folder: Path) -> Iterator[Example]:
    """Yield the examples that another program wrote into a folder, in the order of their names."""
    yield from map(read, sorted(folder.glob("*.npz")))


def read(path: Path) -> Example:
    """Return the example of a file."""
    with np.load(path) as data:
        mask = data["mask"].astype(bool) if "mask" in data.files else None
        return Example(path.stem, data["log_bands"], data["beats"], data["positions"], mask)


def _store(recipe: Recipe, path: Path) -> None:
    """Write the example of a recipe; one without beats says that the recipe is unusable."""
    song = recipe.make()
    partial_path = path.with_suffix(f".{os.getpid()}.partial")
    with partial_path.open("wb") as file:
        np.savez_compressed(
            file,
            log_bands=log_spectrogram(song.audio).astype(np.float16)
            if song
            else np.zeros((0, 82), np.float16),
            beats=np.array(song.truth.beats if song else ()),
            positions=np.array(song.truth.positions if song else (), np.int64),
        )
    partial_path.rename(path)
