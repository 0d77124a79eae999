"""The composition of a demo song: form, harmony and melody from a seed, with its exact beats and sections."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from k1_cli.songs.demo.synth import SAMPLE_RATE_HZ

BEATS_PER_BAR: Final = 4
LEAD_IN_S: Final = 0.25
"""Silence before the first beat."""
TAIL_S: Final = 2.0
"""Time for the last echo."""
MIN_BPM, MAX_BPM = 60.0, 200.0
MAX_LENGTH_S: Final = 900.0

Label = Literal["intro", "build", "drop", "breakdown", "outro"]
_FORM: Final[tuple[tuple[Label, int], ...]] = (
    ("intro", 4), ("build", 4), ("drop", 8), ("breakdown", 4), ("drop", 8), ("outro", 4),
)  # fmt: skip
_MIN_BARS = len(_FORM)

_MINOR_PROGRESSIONS: Final = (  # degrees of the minor scale, one a bar
    ((0, 3, 7), (-4, 0, 3), (3, 7, 10), (-2, 2, 5)),
    ((0, 3, 7), (-2, 2, 5), (-4, 0, 3), (-2, 2, 5)),
    ((0, 3, 7), (5, 8, 12), (-4, 0, 3), (-2, 2, 5)),
)
_ARPEGGIOS: Final = ((0, 1, 2, 3, 2, 1, 3, 2), (0, 2, 1, 3, 0, 3, 2, 1), (3, 2, 1, 0, 1, 2, 3, 1))
_NOTE_NAMES: Final = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True)
class Section:
    """A part of the form, in seconds."""

    start: float
    end: float
    label: Label


@dataclass(frozen=True)
class GroundTruth:
    """The correct result of an analysis. Times are seconds from the first sample; `duration` is of the recording."""

    bpm: float
    time_signature: str
    key: str
    scale: str
    seed: int
    sample_rate_hz: int
    duration: float
    beats: tuple[float, ...]
    downbeats: tuple[float, ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Bar:
    """One bar of the form, with its position in the song and in its section."""

    number: int
    label: Label
    index: int
    count: int
    """Bars in the section."""

    @property
    def progress(self) -> float:
        """From 0 at the section's first bar to 1 at its last."""
        return self.index / max(1, self.count - 1)


def form(bars: int) -> tuple[tuple[Label, int], ...]:
    """Distribute `bars` among the sections in proportion to the form, at least one each."""
    weights = np.array([length for _, length in _FORM])
    spare = bars - _MIN_BARS
    exact = spare * weights / weights.sum()
    lengths = 1 + exact.astype(int)
    for neediest in np.argsort(exact.astype(int) - exact, kind="stable")[: bars - int(lengths.sum())]:
        lengths[neediest] += 1
    return tuple((label, int(length)) for (label, _), length in zip(_FORM, lengths, strict=True))


class DemoSong:
    """The composition of one song."""

    def __init__(self, *, bpm: float = 126.0, seconds: float = 60.0, seed: int = 1) -> None:
        """Compose a song of whole bars, with a length as near to `seconds` as possible.

        Raises:
            ValueError: the song cannot have that tempo or length; the message gives the limits.
        """
        if not MIN_BPM <= bpm <= MAX_BPM:
            raise ValueError(f"the tempo must lie between {MIN_BPM:.0f} and {MAX_BPM:.0f} BPM, not {bpm:g}")
        self.bpm, self.seed = bpm, seed
        self.beat_s = 60.0 / bpm
        shortest_s = _MIN_BARS * BEATS_PER_BAR * self.beat_s
        if not shortest_s <= seconds <= MAX_LENGTH_S:
            raise ValueError(
                f"at {bpm:g} BPM the song can last {shortest_s:.1f} to {MAX_LENGTH_S:.0f} s, not {seconds:g}"
            )
        self.bar_s = BEATS_PER_BAR * self.beat_s
        self.form = form(round(seconds / self.bar_s))
        rng = np.random.default_rng(seed)
        self.root: Final = int(rng.integers(53, 60))
        self.chords = _MINOR_PROGRESSIONS[rng.integers(len(_MINOR_PROGRESSIONS))]
        self.arpeggio = _ARPEGGIOS[rng.integers(len(_ARPEGGIOS))]
        self.melody = rng.integers(0, 4, size=8)

    @property
    def bars(self) -> Iterator[Bar]:
        """Every bar in order."""
        number = 0
        for label, count in self.form:
            for index in range(count):
                yield Bar(number, label, index, count)
                number += 1

    @property
    def ground_truth(self) -> GroundTruth:
        """The exact beats, downbeats and sections."""
        count = sum(length for _, length in self.form)
        beats = tuple(self.time(beat / BEATS_PER_BAR) for beat in range(count * BEATS_PER_BAR))
        sections: list[Section] = []
        bar = 0
        for label, length in self.form:
            sections.append(Section(self.time(bar), self.time(bar + length), label))
            bar += length
        return GroundTruth(
            bpm=self.bpm,
            time_signature="4/4",
            key=_NOTE_NAMES[self.root % 12],
            scale="minor",
            seed=self.seed,
            sample_rate_hz=SAMPLE_RATE_HZ,
            duration=self.samples / SAMPLE_RATE_HZ,
            beats=beats,
            downbeats=beats[::BEATS_PER_BAR],
            sections=tuple(sections),
        )

    def time(self, bar: float) -> float:
        """Return the time in seconds at which a bar, or a fraction of one, begins."""
        return round(LEAD_IN_S + bar * self.bar_s, 6)

    @property
    def samples(self) -> int:
        """The length of the recording in samples."""
        bars = sum(length for _, length in self.form)
        return round((LEAD_IN_S + bars * self.bar_s + TAIL_S) * SAMPLE_RATE_HZ)
