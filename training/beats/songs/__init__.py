"""Songs with exactly known beats, bars, sections and keys, generated from random numbers alone."""

from .fluid import SAMPLE_RATE_HZ, FluidsynthMissingError
from .palettes import Split
from .score import Truth
from .song import Song, make_song
from .styles import STYLES
from .training_only.styles import TRAINING_STYLES

__all__ = [
    "SAMPLE_RATE_HZ",
    "STYLES",
    "TRAINING_STYLES",
    "FluidsynthMissingError",
    "Song",
    "Split",
    "Truth",
    "make_song",
]
