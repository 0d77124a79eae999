"""Plays a score: a drum machine, a synthesiser and a sound font share the voices."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from . import fluid, synth
from .compose import pick
from .palettes import Palette
from .score import Score, Voice
from .styles import Style

Audio = NDArray[np.float32]
VOICES: tuple[Voice, ...] = get_args(Voice)


def play(score: Score, style: Style, palette: Palette, index: int, rng: np.random.Generator) -> Audio:
    """Return the dry mix, mono at 44.1 kHz; `index` chooses among the sound fonts.

    Raises:
        FluidsynthMissingError: fluidsynth or a sound font is not installed.
    """
    used: Sequence[Voice] = [v for v in VOICES if any(n.voice == v for n in score.notes)]
    pitched: list[Voice] = [v for v in used if v != "drums"]
    machine = "drums" in used and rng.random() < style.synth_drums
    synthesised = rng.random() < style.synth
    parts: list[Audio] = []
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
    if not parts:
        return np.zeros(int(score.duration * fluid.SAMPLE_RATE_HZ), np.float32)
    return np.asarray(np.sum(parts, axis=0, dtype=np.float32))


def _level(sampled: Audio, others: int) -> Audio:
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
