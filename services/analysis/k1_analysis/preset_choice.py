"""Which preset a song gets when nobody chose one: plain rules over its map, with the reason told. Pure.

The rules are a guess about style, so the show says that it was one; a person who names a preset overrules them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from k1_contracts.genesis import GenesisMap, IntensityPoint
from k1_contracts.tracks import Preset

_STEADY: Final = 0.9
_WIDE_RANGE_LU: Final = 12.0
_QUIET_LUFS: Final = -16.0
_DANCE_BPM: Final = (112.0, 180.0)
_SLOW_BPM: Final = (65.0, 112.0)


@dataclass(frozen=True, slots=True)
class Choice:
    """A preset and why."""

    preset: Preset
    why: str


def choose_preset(genesis: GenesisMap) -> Choice:
    """The style that the map speaks for; rock, the plainest show, when it speaks for none."""
    metrics, layers = genesis.global_metrics, genesis.layers
    if not layers.rhythm.beat_grid_ms:
        return Choice("orchestral", "no beats were found, so the show follows the loudness")
    if metrics.loudness_range_lu >= _WIDE_RANGE_LU:
        return Choice("orchestral", f"its loudness ranges over {metrics.loudness_range_lu:.1f} LU")
    steady = metrics.tempo_stability >= _STEADY
    low, high = _DANCE_BPM
    if steady and low <= metrics.bpm <= high and layers.annotations.drops:
        return Choice("edm", f"it drops, at a steady {metrics.bpm:.1f} BPM")
    if steady and _SLOW_BPM[0] <= metrics.bpm < _SLOW_BPM[1] and _bass_leads(genesis):
        return Choice("hiphop", f"its bass leads at a steady {metrics.bpm:.1f} BPM")
    loud = metrics.integrated_lufs
    if loud is not None and loud < _QUIET_LUFS:
        return Choice("jazz", f"it is played softly, at {loud:.1f} LUFS")
    return Choice("rock", "nothing in the map speaks for another style")


def _bass_leads(genesis: GenesisMap) -> bool:
    frequency = genesis.layers.frequency
    return _mean(frequency.bass) > max(_mean(frequency.mids), _mean(frequency.highs))


def _mean(points: Sequence[IntensityPoint]) -> float:
    return sum(point.intensity for point in points) / max(len(points), 1)
