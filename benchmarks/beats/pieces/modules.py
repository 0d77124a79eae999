"""Renders tracker modules with their beats: `python -m benchmarks.beats.pieces.modules OUT FOLDER...`.

Modules are music that people composed with recorded samples: mostly electronic, with every event on an exact time. The
program takes the `.mod`, `.xm`, `.it` and `.s3m` files below each folder, plays them with libopenmpt, and writes
`OUT/NAME.flac` with `OUT/NAME.json` for `python -m benchmarks.beats --folder OUT`. It leaves out copies, pieces of less
than 40 s, and those whose rows do not say where the beats are.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .annotation import RENDERED_S, PieceBeats, write_piece
from .module_beats import read_beats
from .openmpt import SAMPLE_RATE_HZ, NoModuleError, OpenmptMissingError, Player
from .sources import distinct, parse_folders

SUFFIXES: Final = frozenset({".mod", ".xm", ".it", ".s3m"})
SHORTEST_S: Final = 40.0
_SILENT: Final = 1e-3
_EARLY_S: Final = 0.05
"""How long before the first sound its beat may be."""


def module_files(folders: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the modules below the folders, each content once."""
    found = (
        (path.stem, path.read_bytes())
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    for stem, content, digest in distinct(found):
        yield f"module-{stem}-{digest[:6]}".lower().replace(" ", "_"), content


def render(name: str, content: bytes, player: Player, out: Path) -> str:
    """Write the sound and the annotation of a module unless they are there; return what was done."""
    if (out / f"{name}.json").exists():
        return "is there"
    try:
        duration_s = player.duration_s(content)
    except NoModuleError as error:
        return f"left out: {error}"
    if duration_s < SHORTEST_S:
        return f"left out: {duration_s:.0f} s long"
    played = player.play(content, RENDERED_S)
    beats = read_beats(played.rows)
    if beats is None:
        return "left out: its rows do not say where the beats are"
    write_piece(out, name, played.audio, SAMPLE_RATE_HZ, within_sound(beats, played.audio))
    return "played"


def within_sound(beats: PieceBeats, audio: NDArray[np.float32]) -> PieceBeats:
    """Return the beats from the first sound to the last."""
    loud = np.flatnonzero(np.abs(audio).max(axis=1) > _SILENT * max(float(np.abs(audio).max()), 1e-6))
    if not len(loud):
        return PieceBeats((), ())
    first, last = loud[0] / SAMPLE_RATE_HZ - _EARLY_S, loud[-1] / SAMPLE_RATE_HZ
    kept = [(s, place) for s, place in zip(beats.seconds, beats.positions, strict=True) if first <= s <= last]
    return PieceBeats(tuple(s for s, _ in kept), tuple(place for _, place in kept))


def main() -> None:
    out, folders = parse_folders("benchmarks.beats.pieces.modules", __doc__, "modules")
    try:
        player = Player()
    except OpenmptMissingError as error:
        sys.exit(f"error: {error}")
    for name, content in module_files(folders):
        print(f"{name}: {render(name, content, player, out)}", flush=True)


if __name__ == "__main__":
    main()
