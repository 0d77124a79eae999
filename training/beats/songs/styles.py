"""The styles: how often drums play, how the tempo moves, and which voice plays which rhythm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .tempo import TempoKind

Rule = Literal["bar", "half", "beat", "sub", "fast", "off", "kick", "sync", "walk", "after", "roll", "gallop"]
"""Rhythms of pitched parts: one a bar, two a bar, every beat, twice (or three times) a beat, four times a beat,
off-beats, with the kick drum, syncopated, every beat with another note of the chord, every beat but the first,
the three sixteenths after each beat, an eighth and two sixteenths."""


@dataclass(frozen=True)
class Production:
    """Probabilities of what makes a modern recording hard to read; drawn for each song."""

    sung: float = 0.0
    """The lead is a voice: vibrato, portamento, vowels, syllables that begin off the beat."""
    pumped: float = 0.0
    """Everything but the drums is ducked under the kick drum."""
    washed: float = 0.0
    """Cymbals ring on in the louder sections, and noise rises into them."""
    amplified: float = 0.0
    """The pitched parts go through a distorting amplifier."""
    dense: float = 0.0
    """The master is saturated band by band and limited, so that it has nearly no peaks."""
    drums_alone: float = 0.0


@dataclass(frozen=True)
class Style:
    """Probabilities from which a song is drawn. Keys of the mappings are drawn with their weights."""

    grooves: tuple[str, ...]
    """Tables of `grooves.py` to draw the drum pattern, tempo and meter from."""
    ensemble: str
    drums: float
    """Share of the sections that have drums."""
    tempo: Mapping[TempoKind, float]
    bass: Mapping[Rule, float]
    chords: Mapping[Rule, float]
    arp: float = 0.4
    lead: float = 0.6
    silent_bass: float = 0.1
    silent_chords: float = 0.1
    velocity: tuple[float, float] = (0.7, 1.1)
    jitter: tuple[float, float] = (0.003, 0.012)
    minor: float = 0.5
    synth: float = 0.0
    """Probability that the numpy synthesiser plays instead of the sound font."""
    synth_drums: float = 0.0
    drive: tuple[float, float] = (1.0, 2.5)
    sections: tuple[str, ...] = ("intro", "verse", "chorus", "verse", "chorus", "outro")
    production: Production | None = None
    """None leaves the random numbers of the song's sound as they are without it."""


_BAND: Mapping[TempoKind, float] = {"const": 0.35, "drift": 0.55, "step": 0.05, "ramp": 0.05}
_FREE: Mapping[TempoKind, float] = {"const": 0.1, "drift": 0.45, "rubato": 0.35, "step": 0.05, "ramp": 0.05}
_GRID: Mapping[TempoKind, float] = {"const": 1.0}
_FORM: tuple[str, ...] = ("theme", "second", "theme", "second")

STYLES: dict[str, Style] = {
    "edm": Style(
        ("edm",),
        "band",
        drums=0.8,
        tempo=_GRID,
        bass={"off": 0.3, "fast": 0.15, "bar": 0.2, "sync": 0.2, "kick": 0.15},
        chords={"bar": 0.5, "sync": 0.35, "off": 0.15},
        arp=0.5,
        lead=0.35,
        jitter=(0, 0),
        minor=0.8,
        synth=1.0,
        synth_drums=1.0,
        drive=(1.5, 4.0),
        sections=("intro", "build", "drop", "breakdown", "build", "drop", "outro"),
    ),
    "rock": Style(
        ("rock",),
        "band",
        drums=0.92,
        tempo=_BAND,
        bass={"sub": 0.5, "kick": 0.3, "beat": 0.2},
        chords={"sub": 0.4, "bar": 0.3, "sync": 0.2, "beat": 0.1},
        arp=0.2,
        drive=(1.5, 4.0),
    ),
    "pop": Style(
        ("pop", "pop", "rock"),
        "band",
        drums=0.85,
        tempo=_BAND,
        bass={"kick": 0.4, "sub": 0.25, "beat": 0.2, "bar": 0.15},
        chords={"bar": 0.4, "sync": 0.25, "beat": 0.2, "off": 0.15},
        minor=0.4,
        synth_drums=0.35,
    ),
    "funk": Style(
        ("funk",),
        "band",
        drums=0.95,
        tempo=_BAND,
        bass={"kick": 0.5, "sync": 0.5},
        chords={"sync": 0.6, "off": 0.4},
        arp=0.1,
    ),
    "orchestral": Style(
        ("orchestral", "orchestral", "compound"),
        "orchestra",
        drums=0.35,
        tempo=_FREE,
        bass={"bar": 0.3, "beat": 0.35, "half": 0.15, "sub": 0.2},
        chords={"bar": 0.35, "after": 0.25, "sub": 0.2, "beat": 0.2},
        arp=0.5,
        lead=0.8,
        velocity=(0.5, 1.1),
        jitter=(0.004, 0.016),
        drive=(1.0, 1.3),
        sections=_FORM,
    ),
    "legato": Style(
        ("orchestral", "pop"),
        "legato",
        drums=0.0,
        tempo=_FREE,
        bass={"bar": 0.5, "half": 0.3, "beat": 0.2},
        chords={"bar": 0.5, "half": 0.25, "beat": 0.25},
        arp=0.15,
        lead=0.95,
        velocity=(0.5, 1.0),
        jitter=(0.004, 0.018),
        drive=(1.0, 1.3),
        sections=_FORM,
    ),
    "jazz": Style(
        ("jazz",),
        "jazz",
        drums=0.85,
        tempo=_BAND,
        bass={"walk": 0.75, "half": 0.25},
        chords={"sync": 0.6, "off": 0.15, "half": 0.25},
        arp=0.0,
        lead=0.9,
        minor=0.4,
        jitter=(0.005, 0.016),
        drive=(1.0, 1.6),
        sections=("theme", "solo", "bridge", "theme"),
    ),
    "hiphop": Style(
        ("hiphop",),
        "band",
        drums=0.9,
        tempo=_GRID,
        bass={"kick": 0.6, "bar": 0.2, "sync": 0.2},
        chords={"bar": 0.45, "sync": 0.4, "half": 0.15},
        lead=0.5,
        jitter=(0, 0.006),
        minor=0.75,
        synth_drums=0.8,
        drive=(1.5, 3.5),
        sections=("intro", "verse", "hook", "verse", "hook"),
    ),
    "odd": Style(
        ("odd",),
        "band",
        drums=0.85,
        tempo=_BAND,
        bass={"kick": 0.5, "beat": 0.25, "sub": 0.25},
        chords={"kick": 0.4, "bar": 0.35, "beat": 0.25},
    ),
    "compound": Style(
        ("compound",),
        "band",
        drums=0.8,
        tempo=_BAND,
        bass={"kick": 0.4, "beat": 0.3, "sub": 0.3},
        chords={"bar": 0.4, "sub": 0.3, "beat": 0.3},
        arp=0.6,
        minor=0.4,
    ),
    "drumless": Style(
        ("pop", "jazz", "compound", "rock"),
        "quiet",
        drums=0.0,
        tempo={"const": 0.2, "drift": 0.8},
        bass={"beat": 0.35, "bar": 0.35, "sub": 0.15, "half": 0.15},
        chords={"beat": 0.25, "bar": 0.3, "after": 0.2, "off": 0.1, "sub": 0.15},
        arp=0.7,
        velocity=(0.4, 0.9),
        drive=(1.0, 1.2),
        sections=_FORM,
    ),
    "rubato": Style(
        ("pop", "orchestral"),
        "quiet",
        drums=0.0,
        tempo={"rubato": 1.0},
        bass={"beat": 0.3, "bar": 0.4, "half": 0.3},
        chords={"beat": 0.25, "bar": 0.35, "after": 0.25, "sub": 0.15},
        arp=0.5,
        lead=0.8,
        velocity=(0.4, 1.0),
        jitter=(0.006, 0.018),
        drive=(1.0, 1.2),
        sections=_FORM,
    ),
}
