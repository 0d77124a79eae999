"""What `f_measure` says of a song without human beats: the consensus of two trackers, and how sure the level is.

Without human beats a tracker's accuracy on a new song cannot be measured. What can be measured is how far the song's beats agree with
those of an independent tracker, the strongest one that shares no method with the chosen one. That agreement is about
the place of the beats. It says little about the metrical level: trackers that share a habit double the same ballad,
and others count drum and bass in half. So the drums judge the level:

* Where drums and network are as sure of every other beat as of the rest, an independent tracker that counts half as
  fast agrees; where nothing is struck between the beats, so does one that counts twice as fast.
* Where only every other beat has a drum, half the tempo is as good a reading. Then `f_measure` is at most what the
  beats would score against that reading, however well the trackers agree.
"""

from dataclasses import replace

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.beats.agreement.scores import Agreement, compare
from k1_analysis.engine.beats.alternatives import doubled
from k1_analysis.engine.beats.metrical_level import Halves
from k1_analysis.engine.beats.tempo import SAME_TEMPO, tempo

DOUBTFUL_BPM = 100.0
"""From this tempo on, half of it is one that people count in."""


def level_in_doubt(beats: Seconds, compared: Halves, *, compound: bool) -> bool:
    """Return whether half the tempo is as good a reading, because only every other beat has a drum.

    Args:
        beats: of the song, rising, in seconds.
        compared: the even and the odd of the beats.
        compound: each beat falls into three, as in 6/8, where the second of two is the weaker one by nature.
    """
    return tempo(beats) >= DOUBTFUL_BPM and compared.uneven and not compound


def consensus(
    beats: Seconds, independent: Seconds, compared: Halves, *, doubtful: bool, quiet_between: bool
) -> Agreement:
    """Return how far the song's beats agree with an independent tracker's.

    Args:
        beats: of the song, rising, in seconds.
        independent: the other tracker's.
        compared: the even and the odd of the beats.
        doubtful: half the tempo is as good a reading.
        quiet_between: nothing is struck between the beats.
    """
    readings = [independent]
    ratio = tempo(beats) / max(tempo(independent), 1.0)
    if compared.alike and abs(ratio / 2 - 1) <= SAME_TEMPO:
        readings.append(doubled(independent))
    if quiet_between and abs(2 * ratio - 1) <= SAME_TEMPO:
        readings += [independent[::2], independent[1::2]]
    best = max((compare(beats, reading) for reading in readings), key=lambda agreement: agreement.f_measure)
    if not doubtful:
        return best
    half = compare(beats, compared.stronger)
    return replace(best, f_measure=min(best.f_measure, half.f_measure), cemgil=min(best.cemgil, half.cemgil))
