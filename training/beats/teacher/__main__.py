"""Turns a folder of audio into training examples: `python -m training.beats.teacher FOLDER OUT`.

Writes OUT/examples/NAME.npz, one song in ten into OUT/validation, and prints the decision on each file.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import numpy as np

from k1_analysis.engine.audio.framing import Floats
from k1_analysis.engine.errors import EngineError
from training.beats.teacher.evidence import TooShortError, excerpt, measure, with_multifeature
from training.beats.teacher.rules import Label, Rejected, label

SUFFIXES = frozenset({".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav"})
VALIDATION_SHARE = 10
"""One song in so many is for validation."""
_VARIANTS = ("_fast", "-fast", "_remix")
"""Ends of the names of variants: they must be in the same split as the song itself."""


def audio_files(folder: Path) -> Iterator[Path]:
    """Yield the audio files below a folder, sorted; no links."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.is_symlink():
            yield path


def split_of(name: str) -> str:
    """Return `examples` or `validation`, always the same for a name and its variants."""
    for ending in _VARIANTS:
        name = name.removesuffix(ending)
    return "examples" if crc32(name.encode()) % VALIDATION_SHARE else "validation"


def example_name(path: Path, folder: Path) -> str:
    """Return the name of a file's example: its path below `folder`, so that two of the same name stay apart."""
    return "__".join(path.relative_to(folder).with_suffix("").parts).replace(" ", "_")


def decide(samples: Floats) -> tuple[Floats, Label | Rejected]:
    """Return the (T, 82) log spectrum and the label; the slow tracker runs only if the rest is convincing."""
    song = measure(samples)
    found = label(song)
    if isinstance(found, Label):
        found = label(with_multifeature(song, samples))
    return song.features.log_bands, found


def write(path: Path, log_bands: Floats, found: Label) -> None:
    """Write one example."""
    np.savez_compressed(
        path,
        log_bands=log_bands.astype(np.float16),
        beats=found.beats,
        positions=found.positions,
        mask=found.mask,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of audio files")
    parser.add_argument("out", type=Path, help="folder for the examples")
    options = parser.parse_args()
    for part in ("examples", "validation"):
        (options.out / part).mkdir(parents=True, exist_ok=True)
    for path in audio_files(options.folder):
        name = example_name(path, options.folder)
        try:
            log_bands, found = decide(excerpt(path))
        except (EngineError, TooShortError) as error:
            print(f"{name}: left out, {type(error).__name__}", flush=True)
            continue
        figures = " ".join(f"{key} {value:.2f}" for key, value in found.figures.items())
        print(f"{name}: {'kept' if isinstance(found, Label) else found.reason}; {figures}", flush=True)
        if isinstance(found, Label):
            write(options.out / split_of(name) / f"{name}.npz", log_bands, found)


if __name__ == "__main__":
    main()
