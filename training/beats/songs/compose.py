"""Composes one song: draw a style's choices, arrange its sections, write the notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from .grooves import LANES, Groove
from .palettes import PALETTES, SPLIT_NUMBERS, Palette, Split
from .score import METERS, Meter, Mode, Note, Score, Voice
from .styles import STYLES, Rule, Style
from .tempo import TempoKind, tempo_map
from .theory import CHORDS, SCALES, Progression
from .training_only.styles import TRAINING_STYLES

T = TypeVar("T")

BASS_ROOT = 36
CHORD_ROOT = 60
SOFT, PLAIN, ACCENT = 0.55, 0.85, 1.05
_HITS = {"o": SOFT, "x": PLAIN, "X": ACCENT}
_FIGURES: dict[Rule, tuple[tuple[float, float], ...]] = {
    "roll": ((0.5, 0.4), (1, 0.4), (1.5, 0.4)),
    "gallop": ((0, 0.9), (1, 0.4), (1.5, 0.4)),
}
"""Onsets and lengths within a beat, in eighths."""
CRASH = 49
KICK = 36


def song_rng(style: str, index: int, split: Split) -> np.random.Generator:
    """Return the random generator of a song. No two splits, styles or indices share a stream."""
    number = [*STYLES, *TRAINING_STYLES].index(style)
    return np.random.default_rng([SPLIT_NUMBERS[split], number, index])


def style_of(name: str, split: Split) -> Style:
    """Return the definition of a style.

    Raises:
        ValueError: the evaluation has no songs of this style.
    """
    if name in TRAINING_STYLES and split == "evaluation":
        raise ValueError(f"{name} is a style of the training only")
    return (STYLES | TRAINING_STYLES)[name]


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """Return one of `options`, equally likely."""
    return options[int(rng.integers(len(options)))]


def weighted(rng: np.random.Generator, options: Mapping[T, float]) -> T:
    """Return one key of `options`, with the probability of its weight."""
    weights = np.array(list(options.values()), float)
    return list(options)[int(rng.choice(len(weights), p=weights / weights.sum()))]


@dataclass(frozen=True)
class Arrangement:
    """The instruments and rhythms of a section; sections with the same label share them."""

    groove: Groove | None
    fill: bool
    bass: Rule | None
    chords: Rule | None
    arp_step: float | None
    lead: bool
    velocity: float
    progression: Progression
    bars_per_chord: int
    sync: tuple[float, ...]


@dataclass(frozen=True)
class _Kit:
    snare: int
    hat: int
    perc: int

    def pitch(self, lane: str) -> int:
        return {"kick": KICK, "snare": self.snare, "hat": self.hat, "perc": self.perc}[lane]


def compose(style_name: str, index: int, split: Split, seconds: float) -> Score:
    """Write the song `index` of a style, about `seconds` long. The same arguments give the same notes."""
    rng = song_rng(style_name, index, split)
    style, palette = style_of(style_name, split), PALETTES[split]
    groove = pick(rng, palette.grooves[pick(rng, style.grooves)])
    meter = METERS[groove.meter]
    bpm = _draw_tempo(groove, rng)
    sections = _form(style, max(8, round(seconds * bpm / 60 / meter.beats)), rng)
    beats = sum(bars for _, bars in sections) * meter.beats
    kind: TempoKind = weighted(rng, style.tempo)
    mode: Mode = "minor" if rng.random() < style.minor else "major"
    score = Score(
        style=style_name,
        meter=meter,
        tempo=tempo_map(kind, bpm, beats, float(rng.uniform(0.02, 2)), rng),
        bpm=bpm,
        tonic=int(rng.integers(12)),
        mode=mode,
        sections=sections,
        swing_ratio=float(rng.uniform(groove.feel.low, groove.feel.high)),
        swing_unit=groove.feel.unit,
        jitter=float(rng.uniform(*style.jitter)),
    )
    _write(score, style, palette, groove, rng)
    return score


def accompany(score: Score, style: Style, palette: Palette, groove: Groove, rng: np.random.Generator) -> None:
    """Write the pitched voices of a style into a score that has or gets its drums elsewhere."""
    others = list(score.notes)
    score.notes.clear()
    _write(score, replace(style, drums=1.0), palette, groove, rng)
    score.notes[:] = [*others, *(note for note in score.notes if note.voice != "drums")]


def _draw_tempo(groove: Groove, rng: np.random.Generator) -> float:
    """Return a tempo, log-uniform in the groove's range; sequenced music mostly has whole tempi."""
    low, high = np.log(groove.tempi)
    bpm = float(np.exp(rng.uniform(low, high)))
    return float(round(bpm)) if rng.random() < 0.4 else round(bpm, 2)


def _form(style: Style, bars: int, rng: np.random.Generator) -> list[tuple[str, int]]:
    """Return sections of 4 or 8 bars in the style's order until the length is reached."""
    unit = 8 if bars >= 8 * len(style.sections) else 4
    form: list[tuple[str, int]] = []
    start = 0 if bars >= 4 * len(style.sections) else int(rng.integers(len(style.sections)))
    while sum(n for _, n in form) < bars:
        label = style.sections[(start + len(form)) % len(style.sections)]
        form.append((label, 4 if label in ("intro", "outro", "build") else unit))
    return form


def _write(score: Score, style: Style, palette: Palette, groove: Groove, rng: np.random.Generator) -> None:
    kit = _Kit(pick(rng, palette.snares), pick(rng, palette.hats), pick(rng, palette.percussion))
    groove = _varied(groove, rng)
    arrangements: dict[str, Arrangement] = {}
    bar = 0
    for label, bars in score.sections:
        if label not in arrangements:
            arrangements[label] = _arrange(label, style, palette, groove, score, rng=rng)
        _write_section(score, range(bar, bar + bars), arrangements[label], kit, rng)
        bar += bars


def _varied(groove: Groove, rng: np.random.Generator) -> Groove:
    """Return the groove with a few ghost notes or kicks added or removed, never on the beat, so that songs differ."""

    def vary(pattern: str, chance: float, added: str) -> str:
        per_beat = max(1, len(pattern) // METERS[groove.meter].beats)
        steps = list(pattern)
        for i, step in enumerate(steps):
            if i % per_beat and rng.random() < chance:
                steps[i] = added if step == "." else "."
        return "".join(steps)

    return Groove(
        groove.name,
        groove.tempi,
        vary(groove.kick, 0.06, "x"),
        vary(groove.snare, 0.03, "o"),
        vary(groove.hat, 0.05, "o"),
        vary(groove.perc, 0.05, "o"),
        groove.meter,
        groove.feel,
    )


def _arrange(
    label: str, style: Style, palette: Palette, groove: Groove, score: Score, *, rng: np.random.Generator
) -> Arrangement:
    loud = label in ("chorus", "drop", "hook", "theme")
    drums = rng.random() < style.drums
    bass = None if rng.random() < style.silent_bass else weighted(rng, style.bass)
    chords = None if rng.random() < style.silent_chords else weighted(rng, style.chords)
    if label == "drop":
        drums, bass = True, bass or weighted(rng, style.bass)
    if label == "breakdown":
        drums, bass, chords = False, None, chords or "bar"
    if label in ("intro", "outro") and drums and rng.random() < 0.5:
        bass, chords = None, chords if rng.random() < 0.5 else None
    arp = rng.random() < style.arp + 0.2 * loud
    lead = rng.random() < style.lead + 0.2 * loud
    if not (drums or bass or chords or arp or lead):
        chords, arp = weighted(rng, style.chords), True
    if not drums and not arp and not lead and chords in (None, "bar") and bass in (None, "bar"):
        arp = rng.random() < 0.8
        lead = not arp
    velocity = float(rng.uniform(*style.velocity)) * (1.08 if loud else 0.92)
    grid = (1 / 3,) if score.meter.compound else (0.5, 0.5, 0.25, 1.0)
    sync = pick(rng, palette.syncopations) if palette.syncopations else _random_syncopation(score.meter, rng)
    return Arrangement(
        groove=groove if drums else None,
        fill=bool(rng.random() < 0.6),
        bass=bass,
        chords=chords,
        arp_step=pick(rng, grid) if arp else None,
        lead=lead,
        velocity=velocity,
        progression=pick(rng, palette.progressions[score.mode]),
        bars_per_chord=pick(rng, (1, 1, 1, 2)),
        sync=sync,
    )


def _random_syncopation(meter: Meter, rng: np.random.Generator) -> tuple[float, ...]:
    grid = np.arange(0, meter.beats, 1 / 3 if meter.compound else 0.25)
    chosen = rng.choice(grid, size=min(len(grid), int(rng.integers(3, 6))), replace=False)
    return tuple(sorted(float(x) for x in chosen))


def _write_section(score: Score, bars: range, plan: Arrangement, kit: _Kit, rng: np.random.Generator) -> None:
    meter = score.meter.beats
    for i, bar in enumerate(bars):
        start = bar * meter
        offset, quality = plan.progression[(i // plan.bars_per_chord) % len(plan.progression)]
        chord = [CHORD_ROOT + (score.tonic + offset) % 12 - 12 + step for step in CHORDS[quality]]
        bass = BASS_ROOT + (score.tonic + offset - 4) % 12 - 8
        add = _Writer(score, start, plan.velocity)
        if plan.groove:
            _drum_bar(add, plan.groove, kit, crash=i == 0, fill=plan.fill and bar == bars[-1])
        if plan.bass:
            _bass_bar(add, plan, bass, CHORDS[quality], score.meter)
        if plan.chords:
            _chord_bar(add, plan, chord, score.meter)
        if plan.arp_step:
            _arp_bar(add, plan.arp_step, chord, meter)
        if plan.lead:
            _lead_bar(add, chord, score, rng)


@dataclass(frozen=True)
class _Writer:
    """Adds notes of one bar to the score."""

    score: Score
    start: float
    velocity: float

    def __call__(self, voice: Voice, beat: float, length: float, pitch: int, level: float) -> None:
        velocity = float(np.clip(100 * level * self.velocity, 8, 127))
        self.score.notes.append(Note(voice, self.start + beat, length, pitch, velocity))


def _drum_bar(add: _Writer, groove: Groove, kit: _Kit, *, crash: bool, fill: bool) -> None:
    beats = METERS[groove.meter].beats
    for lane in LANES:
        pattern = groove.lane(lane)
        for i, step in enumerate(pattern):
            beat = i * beats / len(pattern)
            if step in _HITS and not (fill and lane == "snare" and beat >= beats - 1):
                add("drums", beat, 0.2, kit.pitch(lane), _HITS[step])
    if crash:
        add("drums", 0, 1, CRASH, ACCENT)
    if fill:
        steps = 6 if METERS[groove.meter].compound else 4
        for i in range(steps):
            add("drums", beats - 1 + i / steps, 0.1, kit.snare, SOFT + 0.5 * i / steps)


def _onsets(rule: Rule, meter: Meter, plan: Arrangement) -> list[tuple[float, float]]:
    """Return (onset, length) in beats of a rhythm in one bar."""
    beats, sub = meter.beats, 3 if meter.compound else 2
    off = 2 / 3 if meter.compound else 0.5
    steady = {
        "half": beats / 2 if beats % 2 == 0 else beats,
        "beat": 1,
        "walk": 1,
        "sub": 1 / sub,
        "fast": 1 / (2 * sub),
    }
    if rule in steady:
        step = steady[rule]
        return [(i * step, step) for i in range(round(beats / step))]
    if rule == "bar":
        return [(0.0, float(beats))]
    if rule == "off":
        return [(i + off, 0.4) for i in range(beats)]
    if rule == "after":
        return [(float(i), 0.7) for i in range(1, beats)] or [(0.0, 0.7)]
    if rule in _FIGURES:
        figure = [(start / sub, length / sub) for start, length in _FIGURES[rule]]
        return [(i + start, length) for i in range(beats) for start, length in figure]
    starts = _kicks(plan) if rule == "kick" else [s for s in plan.sync if s < beats]
    ends = [*starts[1:], float(beats)]
    return [(s, min(e - s, 1.0) * 0.9) for s, e in zip(starts, ends, strict=True)]


def _kicks(plan: Arrangement) -> list[float]:
    if plan.groove is None:
        return [0.0]
    pattern = plan.groove.kick
    beats = METERS[plan.groove.meter].beats
    return [i * beats / len(pattern) for i, step in enumerate(pattern) if step != "."]


def _bass_bar(add: _Writer, plan: Arrangement, root: int, chord: tuple[int, ...], meter: Meter) -> None:
    rule = plan.bass or "bar"
    walk = (*chord[:3], 12)
    for i, (beat, length) in enumerate(_onsets(rule, meter, plan)):
        pitch = root + (walk[i % len(walk)] if rule == "walk" else 0)
        add("bass", beat, length * 0.92, pitch, 0.95 if beat % 1 == 0 else 0.85)


def _chord_bar(add: _Writer, plan: Arrangement, chord: list[int], meter: Meter) -> None:
    for beat, length in _onsets(plan.chords or "bar", meter, plan):
        for pitch in chord:
            add("chords", beat, length * 0.95, pitch, 0.8 if beat % 1 == 0 else 0.7)


def _arp_bar(add: _Writer, step: float, chord: list[int], beats: int) -> None:
    tones = [*chord, chord[0] + 12]
    for i in range(round(beats / step)):
        add("arp", i * step, step * 0.95, tones[i % len(tones)] + 12, 0.8 if (i * step) % 1 < 1e-6 else 0.65)


def _lead_bar(add: _Writer, chord: list[int], score: Score, rng: np.random.Generator) -> None:
    """Return a melody: chord tones on the beat, scale tones between, some rests."""
    compound, beats = score.meter.compound, score.meter.beats
    lengths, odds = (
        ((1 / 3, 2 / 3, 1.0), (0.4, 0.2, 0.4))
        if compound
        else ((0.25, 0.5, 1.0, 1.5, 2.0), (0.1, 0.4, 0.3, 0.1, 0.1))
    )
    scale = [CHORD_ROOT + 12 + (score.tonic + s) % 12 for s in SCALES[score.mode]]
    beat = 0.0
    while beat < beats - 1e-6:
        length = min(float(rng.choice(lengths, p=odds)), beats - beat)
        if rng.random() < 0.85:
            on_beat = abs(beat - round(beat)) < 1e-6
            pitch = pick(rng, chord) + 12 if on_beat else pick(rng, scale)
            add("lead", beat, length * 0.97, pitch, 0.85)
        beat += length
