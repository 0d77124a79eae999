"""Provides the annotated tracks of the benchmark: generated songs, and folders of audio with annotations."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from training.beats.songs import SAMPLE_RATE_HZ, Truth, make_song

from .annotations import DatasetError, Times, annotation_of, read_annotation

GENERATED_VERSION = 1
"""Increase when the songs of a seed change; part of the name of the cache folder."""
AUDIO_SUFFIXES = frozenset(
    {".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"}
)


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
    level_uncertain: bool = False
    """Half the annotated tempo is as good an answer."""
    generated: bool = False

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
        generated=True,
    )


def annotated_folder(folder: Path) -> Iterator[AnnotatedTrack]:
    """Yield each audio file below `folder` that has an annotation of the same name beside it.

    The group is the genre of the annotation; without one, the name of the file's folder.

    Raises:
        DatasetError: there is no such file, or an annotation cannot be used.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: is not a folder; give one with audio files and their annotations")
    found = False
    for path in sorted(folder.rglob("*")):
        annotation = annotation_of(path) if path.suffix.lower() in AUDIO_SUFFIXES else None
        if annotation is None:
            continue
        found = True
        truth = read_annotation(annotation)
        yield AnnotatedTrack(
            path.stem,
            truth.genre or path.parent.name,
            path,
            truth.beats,
            truth.downbeats,
            key=truth.key,
            level_uncertain=truth.level_uncertain,
        )
    if not found:
        raise DatasetError(f"{folder}: no audio file with a .json or .beats file of the same name beside it")
