"""Chords, progressions and scales, in semitones above the tonic."""

import re

from .score import Mode

CHORDS: dict[str, tuple[int, ...]] = {
    "M": (0, 4, 7),
    "m": (0, 3, 7),
    "D": (0, 4, 7, 10),
    "m7": (0, 3, 7, 10),
    "M7": (0, 4, 7, 11),
    "P": (0, 7, 12),
}
SCALES: dict[Mode, tuple[int, ...]] = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}

Progression = tuple[tuple[int, str], ...]


def progression(text: str) -> Progression:
    """Parse `0M 7D 9m7 5P`: semitones above the tonic and the chord's quality, a key of `CHORDS`."""
    return tuple((int(number), quality) for number, quality in re.findall(r"(\d+)([A-Za-z]\d?)", text))
