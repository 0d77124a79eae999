"""What is evaluated: generated songs with exact truth, and folders of audio with `.beats` files."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from training.beats.songs import SAMPLE_RATE_HZ, Truth, make_song

GENERATED_VERSION = 1
"""Raise when the songs of a seed change: it names the cache folder."""
AUDIO_SUFFIXES = frozenset(
    {".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"}
)

Times = NDArray[np.float64]


class MaterialError(ValueError):
    """A folder or an annotation cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Item:
    """One annotated track. Times in seconds; None is not annotated."""

    name: str
    group: str
    path: Path
    beats: Times
    downbeats: Times | None = None
    sections: Times | None = None
    """Boundaries, the song's start and end included."""
    key: str | None = None
    """Like `F# minor`."""
    metre: str | None = None

    @property
    def bpm(self) -> float:
        return float(60 / np.median(np.diff(self.beats)))


def default_cache() -> Path:
    """Where rendered songs are kept unless the caller says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "k1" / "beats-evaluation"


def generated(styles: Sequence[str], songs_per_style: int, seconds: float, cache: Path) -> Iterator[Item]:
    """The evaluation split's songs, rendered where the cache lacks them.

    Raises:
        FluidsynthMissingError: fluidsynth or a sound font is not installed.
    """
    folder = cache / f"v{GENERATED_VERSION}-{seconds:g}s"
    folder.mkdir(parents=True, exist_ok=True)
    for style in styles:
        for index in range(songs_per_style):
            path = folder / f"{style}-{index:03d}.flac"
            if not path.with_suffix(".json").exists():
                song = make_song(style, index, "evaluation", seconds)
                soundfile.write(path, song.audio, SAMPLE_RATE_HZ, subtype="PCM_16")
                song.truth.save(path.with_suffix(".json"))
            yield _from_truth(path, Truth.load(path.with_suffix(".json")))


def _from_truth(path: Path, truth: Truth) -> Item:
    return Item(
        name=path.stem,
        group=truth.style,
        path=path,
        beats=np.array(truth.beats),
        downbeats=np.array(truth.downbeats),
        sections=np.array([start for start, _, _ in truth.sections] + [truth.sections[-1][1]]),
        key=f"{truth.key} {truth.scale}",
        metre=truth.metre,
    )


def from_folder(folder: Path) -> Iterator[Item]:
    """Every audio file below `folder` that has a `.beats` file of the same name; the group is its folder's name.

    Raises:
        MaterialError: there is none, or an annotation is not a list of rising times.
    """
    found = False
    for path in sorted(folder.rglob("*")):
        annotation = path.with_suffix(".beats")
        if path.suffix.lower() in AUDIO_SUFFIXES and annotation.exists():
            found = True
            beats, downbeats = read_beats(annotation)
            yield Item(path.stem, path.parent.name, path, beats, downbeats)
    if not found:
        raise MaterialError(f"{folder}: no audio file with a .beats file of the same name beside it")


def read_beats(path: Path) -> tuple[Times, Times | None]:
    """Beats and, where the file has positions, downbeats: one line a beat, `seconds [position in bar]`.

    Raises:
        MaterialError: a line is no number, or the times do not rise.
    """
    rows = [
        line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")
    ]
    try:
        times = np.array([float(row[0]) for row in rows])
        positions = [int(float(row[1])) for row in rows if len(row) > 1]
    except ValueError as error:
        raise MaterialError(f"{path}: each line is `seconds [position in bar]`: {error}") from error
    if len(times) < 2 or not np.all(np.diff(times) > 0):
        raise MaterialError(f"{path}: needs at least two beats in rising order")
    whole = len(positions) == len(times) and 1 in positions
    return times, times[np.array(positions) == 1] if whole else None
