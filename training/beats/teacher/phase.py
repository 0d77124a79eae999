"""Decides the phase of a grid: the grid or its offbeats, or none in doubt."""

from dataclasses import dataclass

import numpy as np

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Seconds
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.beats.agreement.scores import f_measure
from k1_analysis.engine.beats.tempo_grid import TempoGrid
from k1_analysis.engine.structure.bars import find_bars
from training.beats.teacher.cues import contrast, grid_times, log_odds, offbeat
from training.beats.teacher.evidence import Evidence
from training.beats.teacher.level import FAMILIES, STRONG_KICK

BARS_MARGIN = 0.1
"""Difference in `Bars.score` by which one phase must win."""
CLEAR = {"activation": 1.0, "essentia": 0.3, "kick": 0.35}
"""Value from which a cue of `PhaseCues` is clear."""


@dataclass(frozen=True)
class PhaseCues:
    """Evidence for the grid against its offbeats: above 0 for the grid, below 0 for the offbeats."""

    bars: float
    activation: float
    """Difference of the mean log odds."""
    essentia: float
    """Difference of the mean F-measure of Essentia's trackers."""
    kick: float
    """Log ratio of the low onsets."""

    def decide(self) -> int:
        """Return 1 for the grid, -1 for the offbeats, 0 if in doubt.

        If the bars are clear: two other cues must agree and none contradict; or more agree than contradict, with a
        strong kick, or with a twofold margin of the bars if only the kick contradicts: it may be syncopated. If they
        are not: all others must agree, with a strong kick. Activation and Essentia alone do not suffice: both follow
        the snare, which is between the beats in fast metal.
        """
        bars_decide = abs(self.bars) >= BARS_MARGIN
        side = 1 if (self.bars if bars_decide else self.kick) > 0 else -1
        agree = sum(side * getattr(self, name) >= limit for name, limit in CLEAR.items())
        against = sum(side * getattr(self, name) <= -limit for name, limit in CLEAR.items())
        kick = side * self.kick >= STRONG_KICK
        if bars_decide:
            syncopated = side * self.kick <= -CLEAR["kick"]
            strong = kick or (abs(self.bars) >= 2 * BARS_MARGIN and against == syncopated)
            sure = agree > against and (strong or (agree > 1 and not against))
        else:
            sure = kick and agree == len(CLEAR)
        return side if sure else 0


def phase_cues(song: Evidence, grid: TempoGrid) -> PhaseCues:
    """Return the evidence for the grid against its offbeats."""
    duration_s = len(song.activation) / FRAME_RATE_HZ
    on, off = grid_times(grid, duration_s), grid_times(offbeat(grid), duration_s)
    odds = log_odds(song.activation[:, 0]).astype(np.float32)
    found = [song.trackers[name] for name in FAMILIES["essentia"] if len(song.trackers.get(name, ())) > 1]
    agreement = [f_measure(on, beats) - f_measure(off, beats) for beats in found]

    def bars(times: Seconds) -> float:
        return find_bars(times, song.features, song.tonal, song.activation[:, 1]).score

    return PhaseCues(
        bars=bars(on) - bars(off),
        activation=float(strength_at(on, odds).mean() - strength_at(off, odds).mean()),
        essentia=float(np.mean(agreement)) if agreement else 0.0,
        kick=contrast(song.features.onsets[:, 0], on, off),
    )
