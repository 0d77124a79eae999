"""Renders training songs once and caches their features: one small .npz per song."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.features import log_spectrogram
from training.beats.songs import Song, Split, make_song

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
}
VALIDATION_SONGS_PER_STYLE = 1
SONG_SECONDS = 28.0


@dataclass(frozen=True)
class Example:
    """The features and the beats of one song."""

    name: str
    log_bands: NDArray[np.float16]
    """(T, 82) log spectrum at 100 frames a second."""
    beats: NDArray[np.float64]
    """Seconds."""
    positions: NDArray[np.int64]
    """Position of each beat in its bar, from 1."""


def default_cache() -> Path:
    """Return the folder of the cached features, unless the caller gives another."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "k1" / "beats-training"


def plan(split: Split) -> list[tuple[str, int]]:
    """Return (style, index) of every song of a split, one style after the other in turn."""
    counts = (
        SONGS_PER_STYLE if split == "training" else dict.fromkeys(SONGS_PER_STYLE, VALIDATION_SONGS_PER_STYLE)
    )
    return [(style, i) for i in range(max(counts.values())) for style, count in counts.items() if i < count]


def examples(split: Split, songs: Sequence[tuple[str, int]], cache: Path) -> Iterator[Example]:
    """Yield the examples of `songs`, rendering what the cache lacks."""
    folder = cache / f"v{GENERATOR_VERSION}" / split
    folder.mkdir(parents=True, exist_ok=True)
    for style, index in songs:
        path = folder / f"{style}-{index:03d}.npz"
        if not path.exists():
            _store(make_song(style, index, split, SONG_SECONDS), path)
        with np.load(path) as data:
            yield Example(path.stem, data["log_bands"], data["beats"], data["positions"])


def _store(song: Song, path: Path) -> None:
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(
        partial,
        log_bands=log_spectrogram(song.audio).astype(np.float16),
        beats=np.array(song.truth.beats),
        positions=np.array(song.truth.positions),
    )
    partial.rename(path)
