"""Scores from human drumming: the Groove MIDI Dataset, with generated bass, chords and melody on the same bars.

Gillick et al., "Learning to groove with inverse sequence transformations", ICML 2019; licence CC BY 4.0. The drummers
played to a click whose first beat is the file's start, so beats and bars are known.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import mido
import numpy as np
from numpy.typing import NDArray

from training.beats.songs.compose import KICK, accompany, pick
from training.beats.songs.grooves import Groove
from training.beats.songs.palettes import PALETTES, SPLIT_NUMBERS, Palette, Split
from training.beats.songs.score import METERS, Meter, Note, Score
from training.beats.songs.song import Song, render
from training.beats.songs.styles import STYLES, Production, Style
from training.beats.songs.tempo import swing_ratio, tempo_map, unswing

from .styles import TRAINING_STYLES

_STREAM = 99
"""Keeps the random numbers apart from those of the styles."""
_SHORTEST_BARS = 4
_NEAR_BEAT = 0.12
_STEPS_PER_BEAT = 4
_USUAL = 0.4
_JITTER_S = 0.004
_SPARSE = 2
"""Fewest hits a bar of a usable excerpt."""

_DRUMS: Mapping[int, int] = {22: 42, 26: 46, 40: 38, 50: 48, 47: 45, 58: 43, 55: 49, 52: 57, 59: 51}
"""Pitches of the electronic kit's rims and edges to General MIDI."""
_STYLES: Mapping[str, str] = {
    "rock": "rock sung",
    "pop": "pop sung",
    "country": "acoustic",
    "funk": "funk",
    "soul": "slow",
    "gospel": "slow",
    "neworleans": "funk",
    "jazz": "swing",
    "blues": "swing",
    "hiphop": "hiphop sung",
    "dance": "edm dense",
    "punk": "punk",
}
_ANY = Production(sung=0.5, pumped=0.1, washed=0.3, amplified=0.1, dense=0.4)
_DRUMS_ALONE = 0.2
_METERS = {"4-4": METERS["4/4"], "3-4": METERS["3/4"]}

Subset = Literal["train", "validation", "test"]


class DatasetMissingError(RuntimeError):
    """The folder does not hold the Groove MIDI Dataset."""


@dataclass(frozen=True)
class Performance:
    """One file of the data set; tempo in BPM."""

    name: str
    path: Path
    style: str
    bpm: float
    meter: Meter


def performances(folder: Path, subset: Subset) -> list[Performance]:
    """Return the performances of whole beats, in 4/4 or 3/4, of one of the data set's own splits.

    Raises:
        DatasetMissingError: there is no `info.csv` in the folder.
    """
    table = folder / "info.csv"
    if not table.exists():
        raise DatasetMissingError(f"{table} is missing: download the Groove MIDI Dataset (see the README)")
    with table.open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == subset and r["beat_type"] == "beat"]
    return [
        Performance(
            r["id"].replace("/", "-"),
            folder / r["midi_filename"],
            r["style"],
            float(r["bpm"]),
            _METERS[r["time_signature"]],
        )
        for r in rows
        if r["time_signature"] in _METERS
    ]


@dataclass(frozen=True)
class Hits:
    """Drum hits: times in beats, General MIDI pitches, velocities."""

    beats: NDArray[np.float64]
    pitches: NDArray[np.int64]
    velocities: NDArray[np.float64]

    def between(self, first: float, last: float) -> "Hits":
        chosen = (self.beats >= first - _NEAR_BEAT) & (self.beats < last - _NEAR_BEAT)
        return Hits(self.beats[chosen] - first, self.pitches[chosen], self.velocities[chosen])


def perform(performance: Performance, index: int, split: Split, seconds: float) -> Song | None:
    """Return excerpt `index` of a performance, about `seconds` long, with a band; None if it is too short or sparse.

    Raises:
        FluidsynthMissingError: fluidsynth or a sound font is not installed.
    """
    seed = [SPLIT_NUMBERS[split], _STREAM, *performance.name.encode(), index]
    rng = np.random.default_rng(seed)
    beats = performance.meter.beats
    hits = read_hits(performance)
    whole = int(np.ceil(hits.beats.max(initial=0) / beats))
    bars = min(whole, max(_SHORTEST_BARS, round(seconds * performance.bpm / 60 / beats)))
    first = int(rng.integers(0, whole - bars + 1)) * beats
    hits = hits.between(first, first + bars * beats)
    if bars < _SHORTEST_BARS or len(hits.beats) < _SPARSE * bars:
        return None
    palette = PALETTES[split]
    style = _style(performance.style, palette)
    score = _score(performance, hits, bars, rng)
    accompany(score, style, palette, _pattern(hits, performance), rng)
    name = f"groove-{performance.name}-{index}"
    return Song(name, render(score, style, split, index, rng), score.truth())


def read_hits(performance: Performance) -> Hits:
    """Return the hits of a file, shifted so that those near the beats lie around them."""
    now, found = 0.0, list[tuple[float, int, int]]()
    for message in mido.MidiFile(performance.path):
        now += message.time
        if message.type == "note_on" and message.velocity > 0:
            found.append((now * performance.bpm / 60, message.note, message.velocity))
    hits = np.array(found, float).reshape(-1, 3)
    beats = hits[:, 0]
    off = beats - np.round(beats)
    near = np.abs(off) < _NEAR_BEAT
    if near.any():
        beats = beats - float(np.median(off[near]))
    pitches = np.array([_DRUMS.get(int(p), int(p)) for p in hits[:, 1]], np.int64)
    return Hits(beats, pitches, hits[:, 2])


def _style(name: str, palette: Palette) -> Style:
    """Return the style of the accompaniment, with a production that leaves the drums alone at times."""
    known = STYLES | TRAINING_STYLES
    style = known[_STYLES.get(name.partition("/")[0], "latin")]
    ensemble = style.ensemble if style.ensemble in palette.ensembles else "band"
    production = replace(style.production or _ANY, drums_alone=_DRUMS_ALONE)
    return replace(style, ensemble=ensemble, production=production)


def _score(performance: Performance, hits: Hits, bars: int, rng: np.random.Generator) -> Score:
    ratio = swing_ratio(hits.beats)
    meter = performance.meter
    tempo = tempo_map("const", performance.bpm, bars * meter.beats, float(rng.uniform(0.05, 2)), rng)
    score = Score(
        style=performance.style,
        meter=meter,
        tempo=tempo,
        bpm=performance.bpm,
        tonic=int(rng.integers(12)),
        mode=pick(rng, ("major", "minor")),
        sections=_sections(bars),
        swing_ratio=ratio,
        jitter=_JITTER_S,
    )
    for beat, pitch, velocity in zip(hits.beats, hits.pitches, hits.velocities, strict=True):
        score.notes.append(Note("drums", unswing(float(beat), ratio, 0.5), 0.2, int(pitch), float(velocity)))
    return score


def _sections(bars: int) -> Sequence[tuple[str, int]]:
    """Return verse and chorus in turn, four or eight bars each."""
    unit = 8 if bars >= 16 else 4
    full, left = divmod(bars, unit)
    sections = [(("verse", "chorus")[i % 2], unit) for i in range(full)]
    return [*sections, ("bridge", left)] if left else sections


def _pattern(hits: Hits, performance: Performance) -> Groove:
    """Return the usual kick pattern of the performance, which the bass may follow."""
    steps = _STEPS_PER_BEAT * performance.meter.beats
    kicks = np.round(hits.beats[hits.pitches == KICK] * _STEPS_PER_BEAT).astype(int)
    bars = max(1.0, float(hits.beats.max()) / performance.meter.beats)
    counts = np.bincount(kicks[kicks >= 0] % steps, minlength=steps)
    kick = "".join("x" if count >= _USUAL * bars else "." for count in counts)
    kick = kick if "x" in kick else "x" + kick[1:]
    return Groove(
        performance.name, (performance.bpm, performance.bpm), kick, "", "", meter=performance.meter.name
    )
