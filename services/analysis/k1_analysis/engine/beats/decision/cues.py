"""Measures a pulse by named cues, and scores its phase and its metrical level with them.

No cue is right alone. The network prefers the snare where a song has it between the beats; the kick is silent or
syncopated in some music, and some harmony does not change. Together they are right far more often.

How the weights were found: multinomial regression (`training/decision`), for the phase of the annotated beats against
the times midway between them, in whole songs and in stretches of 25 s, for the level of the annotated beats against
twice, half, three times and a third as many. Songs: 144 generated ones, of which no seed was in the training, and ten
real ones, which count four times.
"""

from dataclasses import dataclass

import numpy as np

from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.beats.decision.evidence import SongEvidence
from k1_analysis.engine.beats.tempo import SAME_TEMPO, tempo

REFERENCE_BPM = 120.0
FEW_BEATS = 50
_REACH = 2
_LOW = 0
_THREE = 3


@dataclass(frozen=True, slots=True)
class PhaseWeights:
    """Log odds per unit of each cue."""

    activation: float = 0.32
    bars: float = 9.2
    kick: float = 0.65
    onsets: float = 1.0


@dataclass(frozen=True, slots=True)
class LevelWeights:
    """Log odds per unit of each cue; the tempo counts as a parabola over its octaves above REFERENCE_BPM."""

    octaves: float = 2.8
    octaves_squared: float = -1.1
    activation: float = 3.1
    bars: float = 6.7
    onsets: float = 4.1


PHASE, LEVEL = PhaseWeights(), LevelWeights()


@dataclass(frozen=True, slots=True)
class PulseCues:
    """The cues of one pulse."""

    octaves: float
    """Log2 of the tempo over REFERENCE_BPM."""
    activation: float
    """Mean log probability of a beat at the beats, by the network."""
    bars: float
    """How well the beats make bars, by kick, harmony, bass, timbre and the network's downbeats: `Bars.score`."""
    kick: float
    """Log of the mean onset below 120 Hz at the beats."""
    onsets: float
    """Log of the mean of the onset curve at the beats."""
    beats: int
    """Their number: the bars of a few beats say little about the phase."""
    in_three: bool = False
    """The bars have three beats, each of which divides into two: not 9/8."""

    @property
    def phase_bars(self) -> float:
        """Return the evidence of the bars for a phase: half of it counts at FEW_BEATS, nearly all of it in a song."""
        return self.bars * self.beats / (self.beats + FEW_BEATS)

    @property
    def phase_score(self) -> float:
        """Return the log odds of this phase, up to a constant of the level."""
        return (
            PHASE.activation * self.activation
            + PHASE.bars * self.phase_bars
            + PHASE.kick * self.kick
            + PHASE.onsets * self.onsets
        )

    @property
    def level_score(self) -> float:
        """Return the log odds of this metrical level, up to a constant of the song."""
        return (
            LEVEL.octaves * self.octaves
            + LEVEL.octaves_squared * self.octaves**2
            + LEVEL.activation * self.activation
            + LEVEL.bars * self.bars
            + LEVEL.onsets * self.onsets
        )

    def log_odds(self, other: "PulseCues") -> float:
        """Return the log odds of this pulse against another: of its phase at one tempo, or else of its level."""
        if abs(2 ** (self.octaves - other.octaves) - 1) <= SAME_TEMPO:
            return self.phase_score - other.phase_score
        return self.level_score - other.level_score


def measure(beats: Seconds, song: SongEvidence) -> PulseCues:
    """Return the cues of a pulse of at least two beats."""
    bars = song.bars(beats)
    return PulseCues(
        octaves=float(np.log2(max(tempo(beats), 1.0) / REFERENCE_BPM)),
        activation=float(np.mean(np.log(strength_at(beats, song.activation) + 0.01))),
        bars=bars.score,
        kick=_log_mean(beats, song.features.onsets[:, _LOW], 1e-4),
        onsets=_log_mean(beats, song.onsets, 0.1),
        beats=len(beats),
        in_three=bars.beats_per_bar == _THREE and not bars.compound,
    )


def _log_mean(beats: Seconds, curve: Floats, floor: float) -> float:
    return float(np.log(np.mean(strength_at(beats, curve, _REACH)) + floor))
