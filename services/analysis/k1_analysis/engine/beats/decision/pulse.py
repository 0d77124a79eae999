"""Decides the pulse of a song: one tracker's beats, made steady, in the right phase, at the right metrical level."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.beats.decision.cues import PulseCues, measure
from k1_analysis.engine.beats.decision.evidence import SongEvidence
from k1_analysis.engine.beats.decision.steady_pulse import steady_pulse
from k1_analysis.engine.beats.interpretations import divide, double_beats
from k1_analysis.engine.beats.tempo import SAME_TEMPO, tempo

TRACKED_PHASE = 1.5
"""Log odds for the phase that the tracker found, if there is no constant grid."""
TRACKED_LEVEL = 1.0
"""Log odds for the metrical level that the tracker found, against twice and half as many beats. Not against thirds:
trackers follow the quavers of a slow 6/8. From 0.5 to 1.25 F is the same within .01 on all songs that were tried."""
SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
THIRDS_BPM = (120.0, 75.0)
"""From the first tempo on, every third beat may be the true one, and up to the second, three times as many: 6/8."""
THREE_FOR_TWO_BPM = 100.0
"""From this tempo on, three beats for two may be the true ones: a fast waltz whose tracked beats fall across the bars."""
THREE_FOR_TWO_BARS = 4.0
"""Log odds per unit by which the bars of three beats for two are better, on top of the weight that bars always have.
Of ten real songs, 154 tracker modules and MIDI pieces and 144 generated songs one changes by it, for the better: a
generated waltz at 178 BPM that three of four trackers read at 118. From 0.7 to 7 the results are the same."""
FEWEST_BEATS = 16
"""A shorter pulse stays as it was tracked."""
_FEWEST_TO_COMPARE = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """One phase of one metrical level of the pulse."""

    beats: Seconds
    cues: PulseCues


@dataclass(frozen=True, slots=True)
class LevelPrior:
    """What counts for a metrical level beside its own cues: how its tempo relates to the tracked one."""

    tracked_bpm: float = 0.0
    """The tempo that the tracker found; 0 if it does not count."""
    three_for_two: float = 0.0
    """Log odds for three beats in place of two tracked ones, from their bars."""

    def log_odds(self, beats: Seconds) -> float:
        """Return the log odds of some beats."""
        ratio = tempo(beats) / self.tracked_bpm if self.tracked_bpm else 1.0
        if min(abs(ratio / 2 - 1), abs(ratio * 2 - 1)) <= SAME_TEMPO:
            return -TRACKED_LEVEL
        return self.three_for_two if abs(ratio / 1.5 - 1) <= SAME_TEMPO else 0.0


@dataclass(frozen=True, slots=True)
class Pulse:
    """The decided pulse, and how sure the decision is."""

    beats: Seconds
    constant: bool
    """The beats are a constant grid."""
    phase: float
    """Log odds of the phase against the other, at the metrical level that the tracker found."""
    level: float
    """Log odds of this metrical level against the likeliest other one."""
    other_level: Seconds | None
    """The beats at that level."""
    prior: LevelPrior = LevelPrior()

    def moved_to(self, beats: Seconds) -> "Pulse":
        """Return the pulse at another metrical level, which something outside this decision chose."""
        return self if beats is self.beats else replace(self, beats=beats, level=0.0, other_level=None)


def decide_pulse(beats: Seconds, song: SongEvidence) -> Pulse:
    """Return the pulse of a song, from the beats of the chosen tracker (rising times in seconds)."""
    if len(beats) < FEWEST_BEATS:
        return Pulse(beats, constant=False, phase=_phase(beats, song), level=0.0, other_level=None)
    pair = steady_pulse(beats, song.log_odds, song.audible)
    bonus = 0.0 if pair.constant else TRACKED_PHASE
    tracked, other = (measure(each, song) for each in (pair.on, pair.between))
    phase = tracked.phase_score + bonus - other.phase_score
    here = Reading(pair.on, tracked) if phase >= 0 else Reading(pair.between, other)
    others = [_best_phase(phases, song) for phases in other_levels(here.beats)]
    waltz = _three_for_two(here.beats, song)
    others += [waltz] if waltz else []
    prior = LevelPrior(
        tempo(here.beats), THREE_FOR_TWO_BARS * (waltz.cues.bars - here.cues.bars) if waltz else 0.0
    )

    def score(reading: Reading) -> float:
        return reading.cues.level_score + prior.log_odds(reading.beats)

    ranked = sorted([here, *others], key=score, reverse=True)
    first, second = ranked[0], ranked[1] if others else None
    return Pulse(
        beats=first.beats,
        constant=pair.constant,
        phase=abs(phase),
        level=score(first) - score(second) if second else 0.0,
        other_level=second.beats if second else None,
        prior=prior,
    )


def _phase(beats: Seconds, song: SongEvidence) -> float:
    """Return the log odds of a few beats against the times midway between them."""
    if len(beats) < _FEWEST_TO_COMPARE:
        return 0.0
    midway = (beats[1:] + beats[:-1]) / 2
    return measure(beats, song).log_odds(measure(midway, song))


def _three_for_two(beats: Seconds, song: SongEvidence) -> Reading | None:
    """Return three beats for every two, in the likelier phase, if they make bars of three."""
    if not THREE_FOR_TWO_BPM <= tempo(beats) <= FASTEST_BPM * 2 / 3:
        return None
    thirds = divide(beats, 3)
    reading = _best_phase([thirds[first::2] for first in range(2)], song)
    return reading if reading.cues.in_three else None


def _best_phase(phases: list[Seconds], song: SongEvidence) -> Reading:
    return max(
        (Reading(beats, measure(beats, song)) for beats in phases),
        key=lambda reading: reading.cues.phase_score,
    )


def other_levels(beats: Seconds) -> Iterator[list[Seconds]]:
    """Yield the phases of each other metrical level that a song may have."""
    bpm = tempo(beats)
    if 2 * bpm <= FASTEST_BPM:
        yield [double_beats(beats)]
    if bpm / 2 >= SLOWEST_BPM:
        yield [beats[first::2] for first in range(2)]
    fast, slow = THIRDS_BPM
    if bpm >= fast:
        yield [beats[first::3] for first in range(3)]
    if bpm <= slow:
        yield [divide(beats, 3)]
