"""Renders MIDI pieces with their beats: `python -m benchmarks.beats.pieces.midi OUT FOLDER...`.

Pieces that people composed have patterns that no generator here has, and beats that are known exactly. The program
takes the MIDI files below each folder, also those inside the `.wad` archives of Doom's engine, plays each with one of
two sound fonts in turn, and writes `OUT/NAME.flac` with `OUT/NAME.json` for `python -m benchmarks.beats --folder OUT`.
It leaves out copies, pieces of less than 40 s or more than 7 minutes, and pieces whose notes are not on their grid.
"""

import io
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import mido

from training.beats.songs.fluid import SAMPLE_RATE_HZ, FluidsynthMissingError, synthesise

from .annotation import write_piece
from .midi_beats import read_beats
from .sources import distinct, parse_folders

FONTS: Final = (
    Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
    Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
)
SHORTEST_S, LONGEST_S = 40.0, 420.0
_WAD_HEADER, _WAD_ENTRY = struct.Struct("<4sII"), struct.Struct("<II8s")


def midi_files(folders: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the MIDI files below the folders, each content once."""
    found = (
        (f"{folder.name}-{name}".lower(), content)
        for folder in folders
        for path in sorted(folder.rglob("*"))
        for name, content in _midi_of(path)
    )
    yield from ((name, content) for name, content, _ in distinct(found))


def _midi_of(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.suffix.lower() in {".mid", ".midi"}:
        yield path.stem, path.read_bytes()
    elif path.suffix.lower() == ".wad":
        yield from _midi_of_wad(path.read_bytes())


def _midi_of_wad(archive: bytes) -> Iterator[tuple[str, bytes]]:
    _, count, directory = _WAD_HEADER.unpack_from(archive)
    for index in range(count):
        start, length, name = _WAD_ENTRY.unpack_from(archive, directory + index * _WAD_ENTRY.size)
        content = archive[start : start + length]
        if content.startswith(b"MThd"):
            yield name.rstrip(b"\0").decode("ascii", "replace"), content


def render(name: str, content: bytes, font: Path, out: Path) -> str:
    """Write the sound and the annotation of a piece unless they are there; return what was done."""
    file = mido.MidiFile(file=io.BytesIO(content), clip=True)
    if not SHORTEST_S <= file.length <= LONGEST_S:
        return f"left out: {file.length:.0f} s long"
    beats = read_beats(file)
    if beats is None:
        return "left out: its notes are not on its grid"
    annotation = out / f"{name}.json"
    if not annotation.exists():
        with tempfile.TemporaryDirectory() as folder:
            midi = Path(folder, "piece.mid")
            midi.write_bytes(content)
            audio = synthesise(midi, font)
        write_piece(out, name, audio, SAMPLE_RATE_HZ, beats)
    return f"played with {font.stem}"


def main() -> None:
    out, folders = parse_folders("benchmarks.beats.pieces.midi", __doc__, ".mid files or .wad archives")
    try:
        for index, (name, content) in enumerate(midi_files(folders)):
            print(f"{name}: {render(name, content, FONTS[index % len(FONTS)], out)}", flush=True)
    except FluidsynthMissingError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
