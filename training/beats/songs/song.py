"""Generates a song: one call from (style, index, split) to audio with its annotation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from . import fluid, synth
from .compose import compose, pick, song_rng
from .mastering import master
from .palettes import PALETTES, Palette, Split
from .score import Score, Truth, Voice
from .styles import STYLES, Style

VOICES: tuple[Voice, ...] = get_args(Voice)


@dataclass(frozen=True)
class Song:
    """Mono samples at 44.1 kHz and their annotation."""

    name: str
    audio: NDArray[np.float32]
    truth: Truth


def make_song(style: str, index: int, split: Split, seconds: float) -> Song:
    """Compose, play and master a song. The same arguments give the same samples.

    Raises:
        FluidsynthMissingError: fluidsynth or a sound font is not installed.
    """
    score = compose(style, index, split, seconds)
    # Rendering draws from its own stream, so that a change of sound never changes the notes.
    rng = song_rng(style, index, split).spawn(1)[0]
    definition, palette = STYLES[style], PALETTES[split]
    mix = _play(score, definition, palette, index, rng)
    return Song(f"{style}-{index:03d}", master(mix, definition.drive, rng), score.truth())


def _play(
    score: Score, style: Style, palette: Palette, index: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    used: Sequence[Voice] = [v for v in VOICES if any(n.voice == v for n in score.notes)]
    pitched: list[Voice] = [v for v in used if v != "drums"]
    machine = "drums" in used and rng.random() < style.synth_drums
    synthesised = rng.random() < style.synth
    parts: list[NDArray[np.float32]] = []
    if machine:
        parts.append(synth.play_drums(score, palette, rng))
    if synthesised:
        parts.append(synth.play_voices(score, pitched, palette, rng))
    sampled: list[Voice] = [v for v in used if not (machine if v == "drums" else synthesised)]
    if sampled:
        soundfont = palette.soundfonts[index % len(palette.soundfonts)]
        parts.append(
            _level(fluid.play(score, sampled, _programs(style, palette, rng), soundfont, rng), len(parts))
        )
    return np.asarray(np.sum(parts, axis=0, dtype=np.float32))


def _level(sampled: NDArray[np.float32], others: int) -> NDArray[np.float32]:
    """Scale the sound font, whose level varies much, to the level of the drum machine."""
    return sampled * (0.8 / max(1e-9, float(np.abs(sampled).max()))) if others else sampled


def _programs(style: Style, palette: Palette, rng: np.random.Generator) -> dict[Voice, int]:
    ensemble = palette.ensembles[style.ensemble]
    return {
        "drums": pick(rng, palette.kits),
        "bass": pick(rng, ensemble.bass),
        "chords": pick(rng, ensemble.chords),
        "arp": pick(rng, ensemble.arp),
        "lead": pick(rng, ensemble.lead),
    }
