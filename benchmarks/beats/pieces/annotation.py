"""Writes a rendered piece with its annotated beats, in the format that `benchmarks.beats --folder` reads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

RENDERED_S: Final = 150.0
"""The beginning of a piece that is kept."""
_LOUDEST: Final = 0.9


@dataclass(frozen=True, slots=True)
class PieceBeats:
    """The beats of a piece in seconds, rising."""

    seconds: tuple[float, ...]
    positions: tuple[int, ...]
    """The place of each beat in its bar, from 1 on."""


def write_piece(
    out: Path, name: str, audio: NDArray[np.float32], sample_rate_hz: int, beats: PieceBeats
) -> None:
    """Write `out/name.flac`, its loudest sample at _LOUDEST, and `out/name.json`; both end after RENDERED_S.

    Args:
        out: the folder.
        name: without suffix; what stands before the first `-` is the genre.
        audio: (n, channels) samples.
        sample_rate_hz: of the audio.
        beats: of the whole piece.
    """
    audio = audio[: int(RENDERED_S * sample_rate_hz)]
    audio = audio * np.float32(_LOUDEST / max(float(np.abs(audio).max()), 1e-6))
    soundfile.write(out / f"{name}.flac", audio, sample_rate_hz, subtype="PCM_16")
    kept = [(round(s, 4), place) for s, place in zip(beats.seconds, beats.positions, strict=True)]
    kept = [each for each in kept if each[0] < RENDERED_S]
    annotation = {
        "beats": [second for second, _ in kept],
        "pos": [place for _, place in kept],
        "genre": name.partition("-")[0],
    }
    (out / f"{name}.json").write_text(json.dumps(annotation))
