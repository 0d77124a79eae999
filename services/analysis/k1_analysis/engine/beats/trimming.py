"""Removes the beats before the music begins and after it ends.

A grid and a tracker continue as long as there is sound. Before the music there may be hiss or the ticks of a worn
record, after its last note the decay. Beats there would make light without music.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.audio.levels import mean_db
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.audio.tonal import RATE_HZ as TONAL_RATE_HZ
from k1_analysis.engine.beats.refinement import ATTACK_RATE_HZ, CLEAR_ATTACK

STRUCK = 1.5
"""An onset of this many times the usual strength marks a struck beat, as CLEAR_ATTACK does."""
NOISE_DB = 15.0
"""A lead-in this much quieter than the music after it may be noise."""
PULSE = 0.6
"""Activation of three in four beats of a lead-in with a pulse. In hiss and ticks the activation varies."""
PITCHED = 1.7
"""Strongest over median pitch class from which a lead-in has notes: music with more than drums has 1.9 and more,
noise 1.6 and less."""
FALL_DB = 3.0
"""A last beat from which the level falls by this much against the interval before is part of the decay."""
_MUSIC_BEATS = 8
"""Number of beats whose median is the level of the music after a lead-in."""
_ATTACK_REACH = 9


@dataclass(frozen=True, slots=True)
class SongCurves:
    """The curves of a song from which its first and last beat are found."""

    onsets: Floats
    """`onset_curve`, 100 a second."""
    attacks: Floats
    """`attack_curve`, 300 a second."""
    activation: Floats
    """The network's beat probability, 100 a second."""
    rms: Floats
    """(P,) level, 20 a second."""
    chroma: Floats
    """(N, 12) 10 a second."""


def trim_to_music(beats: Seconds, curves: SongCurves) -> Seconds:
    """Return the beats without those in the noise before the music and in the decay after it.

    A lead-in is noise if the music after it is NOISE_DB louder, and if it has no struck beat, or neither notes nor a
    pulse with a high activation.

    Args:
        beats: rising times in seconds.
        curves: onsets, attacks, activation, level and chroma.
    """
    if len(beats) < 2:  # noqa: PLR2004  an interval needs two beats
        return beats
    attack = strength_at(beats + 1 / ATTACK_RATE_HZ, curves.attacks, _ATTACK_REACH, ATTACK_RATE_HZ)
    struck = (attack >= CLEAR_ATTACK) | (strength_at(beats, curves.onsets) >= STRUCK)
    intervals = np.append(np.diff(beats), np.median(np.diff(beats)))
    levels = mean_db(curves.rms, beats, beats + intervals)
    first = _break_in(levels)
    music = struck[:first].any() and (
        _has_notes(beats[: first + 1], curves) or _has_pulse(beats[:first], curves)
    )
    start = 0 if music else first
    return beats[start : _last(struck, levels)] if struck[start:].any() else beats[start:]


def _has_pulse(beats: Seconds, curves: SongCurves) -> bool:
    return float(np.percentile(strength_at(beats, curves.activation), 25)) >= PULSE


def _has_notes(beats: Seconds, curves: SongCurves) -> bool:
    """Return whether pitch classes stand out between the first and the last of the beats."""
    start, end = (int(time * TONAL_RATE_HZ) for time in (beats[0], beats[-1]))
    chroma = curves.chroma[start : max(start + 1, end)]
    return float(np.median(chroma.max(axis=1) / (np.median(chroma, axis=1) + 1e-9))) >= PITCHED


def _break_in(levels: Seconds) -> int:
    """Return the index of the beat at which music begins after a much quieter lead-in; 0 without a lead-in."""
    loudest_before = np.maximum.accumulate(levels)
    for first in range(1, len(levels)):
        music = float(np.median(levels[first : first + _MUSIC_BEATS]))
        if loudest_before[first - 1] < music - NOISE_DB and levels[first] >= music - NOISE_DB / 2:
            return first
    return 0


def _last(struck: NDArray[np.bool_], levels: Seconds) -> int:
    """Return one past the index of the last beat of the music."""
    last = len(levels)
    while last > 1 and not struck[last - 1] and levels[last - 1] < levels[last - 2] - FALL_DB:
        last -= 1
    return last
