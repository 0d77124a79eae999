"""Holds the evidence of a song from which its beats are decided."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.features import Features
from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.audio.levels import AudibleRange
from k1_analysis.engine.audio.tonal import Tonal
from k1_analysis.engine.beats.trackers.viterbi import log_odds
from k1_analysis.engine.structure.bars import Bars, find_bars


@dataclass(frozen=True)
class SongEvidence:
    """The evidence of one song."""

    features: Features
    tonal: Tonal
    activation: Floats
    """(T,) probability of a beat."""
    downbeat_activation: Floats
    """(T,) probability of a downbeat."""
    onsets: Floats
    """`onset_curve`"""
    attacks: Floats
    """`attack_curve`"""
    audible: AudibleRange

    @cached_property
    def log_odds(self) -> NDArray[np.float64]:
        """Return (T,) the log odds of a beat."""
        return log_odds(self.activation)

    def bars(self, beats: Seconds) -> Bars:
        """Return the bars that these beats make, without a preset."""
        return find_bars(beats, self.features, self.tonal, self.downbeat_activation)
