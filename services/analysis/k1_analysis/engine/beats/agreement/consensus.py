"""Computes `f_measure` for a song without human beats: the consensus of two trackers, limited by doubt about the level.

Without human beats the accuracy on a new song cannot be measured. What can be measured is the agreement of the song's
beats with those of an independent tracker, the strongest one that shares no method with the chosen one. It is about
the place of the beats, and hardly about the metrical level: trackers with the same bias double the same ballad, and
others count drum and bass in half. So the drums decide about the level:

* If drums and network support every other beat as much as the rest, an independent tracker at half the tempo agrees.
  If there is no drum between the beats, one at double tempo agrees too.
* If only every other beat has a drum, half the tempo is as likely. Then `f_measure` is at most the score of the beats
  against half the tempo, however well the trackers agree.
"""

from dataclasses import replace

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.beats.agreement.scores import Agreement, compare
from k1_analysis.engine.beats.alternatives import double_beats
from k1_analysis.engine.beats.metrical_level import AlternateBeats
from k1_analysis.engine.beats.tempo import SAME_TEMPO, tempo

DOUBTFUL_BPM = 100.0
"""From this tempo on, people may count in half of it."""


def level_in_doubt(beats: Seconds, compared: AlternateBeats, *, compound: bool) -> bool:
    """Return whether half the tempo is as likely, because only every other beat has a drum.

    Args:
        beats: of the song, rising, in seconds.
        compared: the even and the odd beats, compared.
        compound: each beat divides into three, as in 6/8, where the second of two is naturally weaker.
    """
    return tempo(beats) >= DOUBTFUL_BPM and compared.uneven and not compound


def consensus(
    beats: Seconds, independent: Seconds, compared: AlternateBeats, *, doubtful: bool, quiet_between: bool
) -> Agreement:
    """Return how far the song's beats agree with those of an independent tracker.

    Args:
        beats: of the song, rising, in seconds.
        independent: beats of the other tracker.
        compared: the even and the odd beats, compared.
        doubtful: half the tempo is as likely.
        quiet_between: there is no drum between the beats.
    """
    interpretations = [independent]
    ratio = tempo(beats) / max(tempo(independent), 1.0)
    if compared.equal and abs(ratio / 2 - 1) <= SAME_TEMPO:
        interpretations.append(double_beats(independent))
    if quiet_between and abs(2 * ratio - 1) <= SAME_TEMPO:
        interpretations += [independent[::2], independent[1::2]]
    best = max(
        (compare(beats, reading) for reading in interpretations), key=lambda agreement: agreement.f_measure
    )
    if not doubtful:
        return best
    half = compare(beats, compared.stronger)
    return replace(best, f_measure=min(best.f_measure, half.f_measure), cemgil=min(best.cemgil, half.cemgil))
