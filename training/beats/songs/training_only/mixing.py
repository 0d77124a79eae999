"""Mixes a song with a production: the drums and the other parts are played apart, treated, and added."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from training.beats.songs.palettes import Palette
from training.beats.songs.playing import Audio, play
from training.beats.songs.score import Score, Voice
from training.beats.songs.styles import Production, Style

from .production import amplify, densify, pump, wash
from .singing import sing

_RMS = 0.1


def produce(score: Score, style: Style, palette: Palette, index: int, rng: np.random.Generator) -> Audio:
    """Return the mix, mono at 44.1 kHz; `index` chooses among all the sound fonts of the palette.

    Raises:
        FluidsynthMissingError: fluidsynth or a sound font is not installed.
    """
    odds = style.production or Production()
    fonts = replace(palette, soundfonts=palette.soundfonts + palette.more_soundfonts)
    drums = play(_only(score, ("drums",)), style, fonts, index, rng)
    if rng.random() < odds.drums_alone and drums.any():
        mix = drums
    else:
        mix = _at_rms(drums) * np.float32(rng.uniform(0.5, 1.6)) + _band(score, style, fonts, index, rng)
    if rng.random() < odds.washed:
        mix = _at_rms(mix) + wash(score, len(mix), rng)
    return densify(mix, rng) if rng.random() < odds.dense else mix


def _band(score: Score, style: Style, fonts: Palette, index: int, rng: np.random.Generator) -> Audio:
    """Return the pitched parts, sung, amplified or ducked as the style's production draws it."""
    odds = style.production or Production()
    sung = rng.random() < odds.sung
    voices: tuple[Voice, ...] = ("bass", "chords", "arp") if sung else ("bass", "chords", "arp", "lead")
    band = _at_rms(play(_only(score, voices), style, fonts, index + int(rng.integers(2)), rng))
    if rng.random() < odds.amplified:
        band = _at_rms(amplify(band, rng))
    if sung:
        voice = _at_rms(sing(score, rng)) * np.float32(rng.uniform(0.4, 1.6))
        band = np.add(band, voice, dtype=np.float32)
    return pump(band, score, rng) if rng.random() < odds.pumped else band


def _only(score: Score, voices: Sequence[Voice]) -> Score:
    return replace(score, notes=[n for n in score.notes if n.voice in voices])


def _at_rms(audio: Audio) -> Audio:
    """Return the audio scaled to a fixed RMS; silence stays silent."""
    return audio * np.float32(_RMS / max(1e-6, float(np.sqrt((audio**2).mean()))))
