"""The score of a song: its notes, and the annotation of its beats."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from .tempo import TempoKind, TempoMap, swing

Mode = Literal["major", "minor"]
Voice = Literal["drums", "bass", "chords", "arp", "lead"]
KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True)
class Meter:
    """A bar of `beats` felt pulses; 6/8 has two, each of three eighths; 7/8 is counted in seven."""

    name: str
    beats: int
    compound: bool = False


METERS = {
    m.name: m
    for m in (
        Meter("4/4", 4),
        Meter("3/4", 3),
        Meter("5/4", 5),
        Meter("7/8", 7),
        Meter("6/8", 2, compound=True),
    )
}


@dataclass(frozen=True)
class Note:
    """One note: onset and length in beats (before swing), MIDI pitch, velocity 1..127."""

    voice: Voice
    beat: float
    length: float
    pitch: int
    velocity: float


@dataclass(frozen=True)
class Truth:
    """The annotation of a song: the result of an ideal analyser. Times are seconds from the first sample."""

    style: str
    tempo_kind: TempoKind
    metre: str
    bpm: float
    key: str
    scale: Mode
    beats: list[float]
    positions: list[int]
    sections: list[tuple[float, float, str]]

    @property
    def downbeats(self) -> list[float]:
        """Return the beats at position 1 of their bar."""
        return [b for b, p in zip(self.beats, self.positions, strict=True) if p == 1]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Truth":
        data = json.loads(path.read_text())
        data["sections"] = [tuple(s) for s in data["sections"]]
        return cls(**data)


@dataclass
class Score:
    """Notes over a tempo map; beat 0 is the first downbeat."""

    style: str
    meter: Meter
    tempo: TempoMap
    bpm: float
    tonic: int
    mode: Mode
    sections: Sequence[tuple[str, int]]
    swing_ratio: float = 0.5
    swing_unit: float = 0.5
    jitter: float = 0.0
    """Standard deviation of human timing in seconds."""
    notes: list[Note] = field(default_factory=list[Note])

    @property
    def beats(self) -> int:
        return sum(bars for _, bars in self.sections) * self.meter.beats

    @property
    def duration(self) -> float:
        """Return the seconds until half a second after the last bar."""
        return self.tempo.seconds(self.beats) + 0.5

    def onset(self, beat: float) -> float:
        """Return the time of a written position, swing included."""
        return self.tempo.seconds(swing(beat, self.swing_ratio, self.swing_unit))

    def truth(self) -> Truth:
        times = self.tempo.times[: self.beats]
        bounds = np.concatenate([[0], np.cumsum([bars * self.meter.beats for _, bars in self.sections])])
        edges = [self.tempo.seconds(float(b)) for b in bounds]
        labels = [label for label, _ in self.sections]
        return Truth(
            style=self.style,
            tempo_kind=self.tempo.kind,
            metre=self.meter.name,
            bpm=float(60 / np.median(np.diff(times))),
            key=KEYS[self.tonic],
            scale=self.mode,
            beats=[float(t) for t in times],
            positions=[i % self.meter.beats + 1 for i in range(self.beats)],
            sections=list(zip(edges[:-1], edges[1:], labels, strict=True)),
        )
