"""Generates a song: one call from (style, index, split) to audio with its annotation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .compose import compose, song_rng, style_of
from .mastering import master
from .palettes import PALETTES, Split
from .playing import play
from .score import Score, Truth
from .styles import Style
from .training_only.mixing import produce


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
        ValueError: a style of the training only is asked for in the evaluation.
    """
    score = compose(style, index, split, seconds)
    # Rendering draws from its own stream, so that a change of sound never changes the notes.
    rng = song_rng(style, index, split).spawn(1)[0]
    audio = render(score, style_of(style, split), split, index, rng)
    return Song(f"{style}-{index:03d}", audio, score.truth())


def render(
    score: Score, style: Style, split: Split, index: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Play and master a score, mono at 44.1 kHz; `index` chooses among the sound fonts."""
    make = produce if style.production else play
    return master(make(score, style, PALETTES[split], index, rng), style.drive, rng)
