"""Decides the pulse of a song: one tracker's beats, made steady, in the right phase, at the right metrical level."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.beats.decision.evidence import SongEvidence
from k1_analysis.engine.beats.decision.level import compare_levels
from k1_analysis.engine.beats.decision.phase import compare_phases
from k1_analysis.engine.beats.decision.steady_pulse import steady_pulse
from k1_analysis.engine.beats.tempo import tempo

OTHER_PHASE = -1.5
"""Log odds below which a pulse without a constant grid takes the phase that the tracker did not find."""
OTHER_LEVEL = 0.0
"""Log odds from which the level changes."""
SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
_FEWEST_BEATS = 16


@dataclass(frozen=True, slots=True)
class Pulse:
    """The decided pulse, and how sure the decision is."""

    beats: Seconds
    constant: bool
    """The beats are a constant grid."""
    phase: float
    """Log odds of this phase against the other."""
    level: float
    """Log odds of this metrical level against the likeliest other one."""


def decide_pulse(beats: Seconds, song: SongEvidence, members: Mapping[str, Seconds]) -> Pulse:
    """Return the pulse of a song, from the beats of the chosen tracker.

    Args:
        beats: rising times in seconds.
        song: the evidence.
        members: the beats of all trackers, which vote for a level.
    """
    if len(beats) < _FEWEST_BEATS:
        return Pulse(beats, constant=False, phase=0.0, level=0.0)
    pulse = _in_phase(beats, song)
    found = _at_level(pulse.beats, song, members)
    if len(found[0]) != len(pulse.beats):
        pulse = _in_phase(found[0], song)
    return Pulse(pulse.beats, pulse.constant, pulse.phase, found[1])


def _in_phase(beats: Seconds, song: SongEvidence) -> Pulse:
    pair = steady_pulse(beats, song.log_odds, song.audible)
    evidence = compare_phases(pair.on, pair.between, song).log_odds
    if evidence >= (0.0 if pair.constant else OTHER_PHASE):
        return Pulse(pair.on, pair.constant, evidence, 0.0)
    return Pulse(pair.between, pair.constant, -evidence, 0.0)


def _at_level(beats: Seconds, song: SongEvidence, members: Mapping[str, Seconds]) -> tuple[Seconds, float]:
    """Return the beats at the likeliest level, and its log odds against the likeliest other."""
    margins: list[tuple[float, Seconds]] = []
    for step in (2, 3):
        if tempo(beats) * step <= FASTEST_BPM:
            fast = divide(beats, step)
            margins.append((compare_levels(fast, step, song, members).log_odds, fast))
        if tempo(beats) / step >= SLOWEST_BPM and len(beats) >= step * _FEWEST_BEATS:
            cues = compare_levels(beats, step, song, members)
            margins.append((-cues.log_odds, cues.slow))
    if not margins:
        return beats, 0.0
    margin, other = max(margins, key=lambda each: each[0])
    return (other, margin) if margin > OTHER_LEVEL else (beats, -margin)


def divide(beats: Seconds, parts: int) -> Seconds:
    """Return the beats and the times that divide each interval into equal parts."""
    return np.interp(np.arange(0, len(beats) - 1 + 1e-9, 1 / parts), np.arange(len(beats)), beats)
