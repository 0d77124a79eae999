"""Provides the annotated tracks of the benchmark: generated songs, and folders of audio with `.beats` files."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from training.beats.songs import SAMPLE_RATE_HZ, Truth, make_song

GENERATED_VERSION = 1
"""Increase when the songs of a seed change; part of the name of the cache folder."""
AUDIO_SUFFIXES = frozenset(
    {".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"}
)

Times = NDArray[np.float64]


class DatasetError(ValueError):
    """A folder or an annotation cannot be used; the message says what to do."""


@dataclass(frozen=True)
class AnnotatedTrack:
    """An annotated track. Times are in seconds; None means not annotated."""

    name: str
    group: str
    path: Path
    beats: Times
    downbeats: Times | None = None
    sections: Times | None = None
    """Boundaries, including the start and the end of the song."""
    key: str | None = None
    """For example `F# minor`."""
    metre: str | None = None

    @property
    def bpm(self) -> float:
        return float(60 / np.median(np.diff(self.beats)))


def default_cache() -> Path:
    """Return the default folder for rendered songs."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "k1" / "beats-evaluation"


def generated_songs(
    styles: Sequence[str], songs_per_style: int, seconds: float, cache: Path
) -> Iterator[AnnotatedTrack]:
    """Yield the songs of the evaluation split; render those that are not in the cache.

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


def _from_truth(path: Path, truth: Truth) -> AnnotatedTrack:
    return AnnotatedTrack(
        name=path.stem,
        group=truth.style,
        path=path,
        beats=np.array(truth.beats),
        downbeats=np.array(truth.downbeats),
        sections=np.array([start for start, _, _ in truth.sections] + [truth.sections[-1][1]]),
        key=f"{truth.key} {truth.scale}",
        metre=truth.metre,
    )


def annotated_folder(folder: Path) -> Iterator[AnnotatedTrack]:
    """Yield each audio file below `folder` that has a `.beats` file of the same name. The group is its folder's name.

    Raises:
        DatasetError: there is no such file, or an annotation is not a list of rising times.
    """
    found = False
    for path in sorted(folder.rglob("*")):
        annotation = path.with_suffix(".beats")
        if path.suffix.lower() in AUDIO_SUFFIXES and annotation.exists():
            found = True
            beats, downbeats = read_beats(annotation)
            yield AnnotatedTrack(path.stem, path.parent.name, path, beats, downbeats)
    if not found:
        raise DatasetError(f"{folder}: no audio file with a .beats file of the same name beside it")


def read_beats(path: Path) -> tuple[Times, Times | None]:
    """Read beats and, if the file has positions, downbeats: one line per beat, `seconds [position in bar]`.

    Raises:
        DatasetError: a line is not a number, or the times do not rise.
    """
    rows = [
        line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")
    ]
    try:
        times = np.array([float(row[0]) for row in rows])
        positions = [int(float(row[1])) for row in rows if len(row) > 1]
    except ValueError as error:
        raise DatasetError(f"{path}: each line is `seconds [position in bar]`: {error}") from error
    if len(times) < 2 or not np.all(np.diff(times) > 0):
        raise DatasetError(f"{path}: needs at least two beats in rising order")
    whole = len(positions) == len(times) and 1 in positions
    return times, times[np.array(positions) == 1] if whole else None
