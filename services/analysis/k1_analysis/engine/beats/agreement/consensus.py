"""Computes `f_measure` for a song without human beats: the agreement of independent trackers, limited by doubt.

Without human beats the accuracy on a new song cannot be measured. What can be measured is the agreement of the song's
beats with those of trackers that share no method with the chosen one. It is about the place of the beats, and hardly
about the metrical level and the phase: trackers with the same bias double the same ballad or follow the same offbeats,
and others count drum and bass in half. So the song itself decides about these, by named evidence (`PulseEvidence`):

* Where it is sure of the level, a tracker at another level agrees: at half the tempo if drums and network, or all
  cues of the level together, support every beat, at double tempo if there is no drum between the beats.
* Where it is sure of the phase, a tracker on the offbeats agrees, at a discount, and one of the independent methods is
  enough. Otherwise each counts alike, and `f_measure` is their mean.
* Where it leaves a doubt, agreement does not help: `f_measure` is at most the score of the beats if the other level
  were right, and at most the probability of the phase.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from k1_analysis.engine.audio.features import Features
from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.beats.agreement.scores import Agreement, compare, f_measure, skip_start
from k1_analysis.engine.beats.interpretations import double_beats
from k1_analysis.engine.beats.metrical_level import compare_alternate_beats, quiet_between
from k1_analysis.engine.beats.tempo import SAME_TEMPO, tempo

DOUBTFUL_BPM = 100.0
"""From this tempo on, people may count in half of it."""
PHASE_SURE = 2.0
"""Log odds of the phase, .88, from which a tracker on the offbeats errs. Chosen on ten real and 144 generated songs:
no times between their annotated beats had more than -.2 (real) and .8 (generated)."""
PHASE_IN_DOUBT = 0.5
"""Log odds of the phase, .62, below which `f_measure` is at most its probability: of ten real and 144 generated songs one
that is decided rightly has less. Twenty seconds of drums without harmony have little more."""
LEVEL_IN_DOUBT = 0.45
"""Log odds of the level below which the likeliest other level is as likely. Chosen on the same songs: eight of 18 that
were decided wrongly had less, and two of 135 decided rightly."""
LEVEL_SURE = 1.5
"""Log odds of the level from which a tracker at half the tempo errs. Chosen on the same songs."""
OFFBEAT_DISCOUNT = 0.9
"""What the agreement of a tracker on the offbeats counts."""
DETECTED = 0.3
"""Median activation up to which the network detects no beat at every other beat, and none between. Of 144 generated
songs five have so little at their own level, and 127 at twice their tempo."""
DETECTED_TWICE = 0.6
"""Median activation, of the weakest of a beat, the next and the middle between them, from which the network detects
twice as many beats; it does not count where no drum is between. Of the same songs five have as much at their own
level, and 121 or more at half of it."""
_REACH = 2


@dataclass(frozen=True, slots=True)
class PulseEvidence:
    """How sure the song itself is of the metrical level and of the phase of its beats."""

    every_beat: bool
    """Drums and network support every other beat as much as the rest, or all evidence of the level together does."""
    quiet_between: bool
    """There is no drum between the beats."""
    slower: Seconds | None
    """Beats at a slower level, if they are as likely."""
    faster: Seconds | None
    """Beats at a faster level, if they are as likely."""
    phase: float
    """Log odds of the beats against the times between them."""

    @property
    def level_in_doubt(self) -> bool:
        """Return whether another metrical level is as likely."""
        return self.other_level is not None

    @property
    def other_level(self) -> Seconds | None:
        """Return the beats at a level that is as likely; None if there is none."""
        return self.faster if self.slower is None else self.slower

    @property
    def phase_in_doubt(self) -> bool:
        """Return whether the times between the beats may be the beats."""
        return self.phase < PHASE_IN_DOUBT

    @property
    def phase_sure(self) -> bool:
        return self.phase >= PHASE_SURE


SILENT = PulseEvidence(every_beat=False, quiet_between=True, slower=None, faster=None, phase=PHASE_SURE)
"""The evidence of a song without beats: nothing is in doubt."""


def weigh_pulse(
    beats: Seconds,
    features: Features,
    activation: Floats,
    *,
    phase: float,
    level: float,
    other_level: Seconds | None,
    compound: bool,
) -> PulseEvidence:
    """Return how sure the song is of the level and the phase of its beats.

    Args:
        beats: of the song: two or more rising times in seconds.
        features: of the song.
        activation: (T,) the network's beat probability.
        phase: log odds of the beats against the times between them.
        level: log odds of the level against the likeliest other one.
        other_level: beats at that level, if there is one.
        compound: each beat divides into three, as in 6/8, where the second of two is naturally weaker.
    """
    compared = compare_alternate_beats(beats, features, activation)
    at = strength_at(beats, activation, _REACH)
    between = strength_at((beats[1:] + beats[:-1]) / 2, activation, _REACH)
    undetected = max(compared.activation, float(np.median(between))) < DETECTED
    no_drums = tempo(beats) >= DOUBTFUL_BPM and compared.uneven and not compound
    detected_twice = float(np.median(np.minimum(np.minimum(at[1:], at[:-1]), between))) >= DETECTED_TWICE
    slower = compared.stronger if undetected or no_drums else None
    quiet = quiet_between(beats, features, activation)
    faster = double_beats(beats) if detected_twice and not quiet else None
    if other_level is not None and level < LEVEL_IN_DOUBT:
        slower, faster = (other_level, faster) if tempo(other_level) < tempo(beats) else (slower, other_level)
    return PulseEvidence(
        every_beat=compared.equal or level >= LEVEL_SURE,
        quiet_between=quiet,
        slower=slower,
        faster=faster,
        phase=phase,
    )


def consensus(beats: Seconds, independent: Sequence[Sequence[Seconds]], evidence: PulseEvidence) -> Agreement:
    """Return how far the song's beats agree with those of independent trackers, limited by doubt.

    Args:
        beats: of the song, rising, in seconds.
        independent: the beats of the trackers of each other method.
        evidence: how sure the song is of the level and the phase.
    """
    votes = [
        max((_agreement(beats, times, evidence) for times in method), key=_f_measure)
        for method in independent
        if method
    ]
    if not votes:
        return compare(beats, np.empty(0))
    limits = [compare(beats, other) for other in (evidence.slower, evidence.faster) if other is not None]
    found = max(votes, key=_f_measure)
    pairs = [(vote.f_measure, vote.cemgil) for vote in ([found] if evidence.phase_sure else votes)]
    scores = np.min([np.mean(pairs, axis=0), *((each.f_measure, each.cemgil) for each in limits)], axis=0)
    if evidence.phase_in_doubt:
        scores = np.minimum(scores, 1 / (1 + np.exp(-evidence.phase)))
    return replace(found, f_measure=float(scores[0]), cemgil=float(scores[1]))


def _agreement(beats: Seconds, tracked: Seconds, evidence: PulseEvidence) -> Agreement:
    """Return the best agreement with a tracker's beats, at each level and in each phase that the song allows."""
    readings = [tracked]
    ratio = tempo(beats) / max(tempo(tracked), 1.0)
    if evidence.every_beat and abs(ratio / 2 - 1) <= SAME_TEMPO:
        readings.append(double_beats(tracked))
    if evidence.quiet_between and abs(2 * ratio - 1) <= SAME_TEMPO:
        readings += [tracked[::2], tracked[1::2]]
    weighted = [(times, 1.0) for times in readings]
    if evidence.phase_sure:
        weighted += [(double_beats(times)[1::2], OFFBEAT_DISCOUNT) for times in readings]
    best, weight = max(
        weighted, key=lambda reading: reading[1] * f_measure(skip_start(beats), skip_start(reading[0]))
    )
    found = compare(beats, best)
    return replace(found, f_measure=weight * found.f_measure, cemgil=weight * found.cemgil)


def _f_measure(agreement: Agreement) -> float:
    return agreement.f_measure
