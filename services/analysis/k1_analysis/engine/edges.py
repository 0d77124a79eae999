"""Where the beats of a song begin and end: nobody counts on while the last chord rings out.

A grid and a tracker go on as long as anything sounds. Before the first sound that is struck there may be noise,
after the last one its decay: beats there light up nothing that is heard.
"""

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.framing import Floats, Seconds
from k1_analysis.engine.levels import mean_db
from k1_analysis.engine.rhythm import ATTACK_RATE_HZ, CLEAR_ATTACK, strength_at

STRUCK = 1.5
"""An onset of this many times the usual strength tells a struck beat, as CLEAR_ATTACK does."""
NOISE_DB = 20.0
"""A lead-in this much quieter than the first struck beat is no music yet."""
FALL_DB = 3.0
"""A last beat from which the level falls by this much against the interval before is part of the decay."""
_ATTACK_REACH = 9


def without_edges(beats: Seconds, onsets: Floats, attacks: Floats, rms: Floats) -> Seconds:
    """The beats without those in the noise before the music and in the decay after it.

    Args:
        beats: rising times in seconds.
        onsets: `onset_curve`, 100 a second.
        attacks: `attack_curve`, 300 a second.
        rms: (P,) level, 20 a second.
    """
    if len(beats) < 2:  # noqa: PLR2004  an interval needs two beats
        return beats
    attack = strength_at(beats + 1 / ATTACK_RATE_HZ, attacks, _ATTACK_REACH, ATTACK_RATE_HZ)
    struck = (attack >= CLEAR_ATTACK) | (strength_at(beats, onsets) >= STRUCK)
    if not struck.any():
        return beats
    intervals = np.append(np.diff(beats), np.median(np.diff(beats)))
    levels = mean_db(rms, beats, beats + intervals)
    return beats[_first(struck, levels) : _last(struck, levels)]


def _first(struck: NDArray[np.bool_], levels: Seconds) -> int:
    """Index of the first beat of the music."""
    first_struck = int(struck.argmax())
    faint = levels[:first_struck] < levels[first_struck] - NOISE_DB
    return int(faint.argmin()) if not faint.all() else first_struck


def _last(struck: NDArray[np.bool_], levels: Seconds) -> int:
    """One past the index of the last beat of the music."""
    last = len(levels)
    while last > 1 and not struck[last - 1] and levels[last - 1] < levels[last - 2] - FALL_DB:
        last -= 1
    return last
