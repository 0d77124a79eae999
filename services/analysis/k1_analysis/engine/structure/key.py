"""Finds the key of a song from its pitch classes: all of them, and those at the beginnings of phrases.

A profile says how often each note of a key is played (Krumhansl and Schmuckler; the profile here is that of Sha'ath,
"Estimation of key in digital music recordings", 2011). Relative keys have the same notes, and a loop of four chords
plays each as often: which of them is the tonic follows from the chord with which phrases begin.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.audio.tonal import PITCH_CLASSES, beat_means

Chroma = NDArray[np.float64]

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_SCALES = ("major", "minor")
_PROFILES: tuple[tuple[float, ...], tuple[float, ...]] = (
    (6.6, 2.0, 3.5, 2.3, 4.6, 4.0, 2.5, 5.2, 2.4, 3.7, 2.3, 3.4),
    (6.5, 2.7, 3.5, 5.4, 2.6, 3.5, 2.5, 5.2, 4.0, 2.7, 4.3, 3.2),
)
_TRIADS: tuple[tuple[float, ...], tuple[float, ...]] = (
    (1, 0, 0, 0, 0.6, 0, 0, 0.6, 0, 0, 0, 0),
    (1, 0, 0, 0.6, 0, 0, 0, 0.6, 0, 0, 0, 0),
)
PHRASE_WEIGHT = 0.4
"""Weight of the chord with which phrases begin against the profile. Chosen on 16 demo songs and 144 generated ones:
with 0.3 to 0.5 all demo songs and .965 to .972 of the others are right, without it 5 of 16 and .861. If every phrase is
counted from a wrong bar, .64 to .76 of the generated songs are right."""
PHRASE_BARS = 4
_CHORD_BEATS = 2
"""Length of the beginning of a phrase."""
_MIN_PHRASES = 2


@dataclass(frozen=True, slots=True)
class Key:
    """A tonic, `major` or `minor`, and how well its profile fits the song, 0..1."""

    tonic: str
    scale: str
    strength: float


def find_key(
    pitch_classes: Floats, beats: Seconds, is_downbeat: NDArray[np.bool_], section_starts: Seconds
) -> Key | None:
    """Return the key; None for a song without pitches.

    Args:
        pitch_classes: (N, 12) strength of each pitch class from C upwards, `RATE_HZ` of `tonal` a second.
        beats: (n,) rising times in seconds; without any, the profile alone decides.
        is_downbeat: (n,) which beats begin a bar.
        section_starts: when the sections begin, in seconds.
    """
    if not len(pitch_classes):
        return None
    overall = pitch_classes.mean(axis=0, dtype=np.float64)
    fit = _fit(overall, _PROFILES)
    if not fit.any():
        return None
    chord = _first_chord(pitch_classes, beats, is_downbeat, section_starts)
    scores = fit if chord is None else fit + PHRASE_WEIGHT * _fit(chord, _TRIADS)
    best = int(scores.argmax())
    tonic, scale = best % PITCH_CLASSES, best // PITCH_CLASSES
    return Key(NAMES[tonic], _SCALES[scale], float(np.clip(fit[best], 0, 1)))


def phrase_starts(
    beats: Seconds, is_downbeat: NDArray[np.bool_], section_starts: Seconds
) -> NDArray[np.int64]:
    """Return the indices of the beats that begin a phrase: every fourth bar, counted from the start of each section."""
    downbeats = np.flatnonzero(is_downbeat)
    if not len(downbeats):
        return downbeats
    bars = np.arange(len(downbeats))
    # Sections begin at downbeats, to the rounding of a float.
    first = np.searchsorted(beats[downbeats], section_starts - 0.05)
    first = np.unique(np.append(first[first < len(downbeats)], 0))
    since = bars - first[np.searchsorted(first, bars, side="right") - 1]
    return downbeats[since % PHRASE_BARS == 0]


def _first_chord(
    pitch_classes: Floats, beats: Seconds, is_downbeat: NDArray[np.bool_], section_starts: Seconds
) -> Chroma | None:
    """Return (12,): the pitch classes with which phrases begin, each phrase as loud; None for a song without phrases.

    Phrases are counted from each section, and from the beginning of the song straight on, as in a loop that runs
    through sections of any length. The right count finds chords that are alike: the mean of unit vectors is longest.
    """
    countings = [
        phrase_starts(beats, is_downbeat, section_starts),
        phrase_starts(beats, is_downbeat, np.empty(0)),
    ]
    if min(map(len, countings)) < _MIN_PHRASES:
        return None
    by_beat = beat_means(pitch_classes, beats).astype(np.float64)
    means: list[Chroma] = []
    for starts in countings:
        chords = np.stack([by_beat[start : start + _CHORD_BEATS].mean(axis=0) for start in starts])
        means.append((chords / (np.linalg.norm(chords, axis=1, keepdims=True) + 1e-9)).mean(axis=0))
    return max(means, key=lambda mean: float(np.linalg.norm(mean)))


def _fit(notes: Chroma, shapes: tuple[tuple[float, ...], tuple[float, ...]]) -> Chroma:
    """Return (24,): the correlation with each shape on each tonic, major first; zeros for equal pitch classes."""
    spread = float(notes.std())
    if spread <= 1e-9 * float(np.abs(notes).max()) or not spread:
        return np.zeros(2 * PITCH_CLASSES)
    turned = np.array([np.roll(shape, tonic) for shape in shapes for tonic in range(PITCH_CLASSES)])
    centred = turned - turned.mean(axis=1, keepdims=True)
    return centred @ (notes - notes.mean()) / (PITCH_CLASSES * centred.std(axis=1) * spread)
