"""Finds the meter and the downbeats: which beats begin a bar, and how many beats a bar has.

Each beat gets evidence (`downbeat_cues`), then a Viterbi pass over the position in the bar finds the best positions
for each meter; the best meter wins. A click track has its own evidence: the accent of the click.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.features import Features, filterbank
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.audio.tonal import Tonal
from k1_analysis.engine.structure.bar_positions import best_positions
from k1_analysis.engine.structure.downbeat_cues import (
    ONSET_BANDS_HZ,
    contrast,
    cues_at,
    evidence_of,
    onset_rise,
    standardised,
)

METER_BONUS = {4: 0.08, 3: 0.0, 2: -0.3, 5: -0.1, 7: -0.2}
"""Added to the mean evidence of a meter: most music is in four, music in four also fits two, and long odd bars need
clear evidence."""
COMPOUND_BONUS = 0.5
"""Added to two if onsets at the thirds of the beat exceed COMPOUND_RATIO by the factor e or more, in part if by less:
6/8."""
COMPOUND_RATIO = 1.3
"""Onsets at the weaker third over those at the half beyond which a beat divides into three (a shuffle, which
leaves out the first third, stays below; set on straight, swung and compound songs)."""
EXPECTED_BONUS = 0.15
"""Added for the meters that the chosen preset expects."""
MIN_BARS = 4
"""A meter other than four needs at least this many of its bars in the song."""
ACCENT = 3.0
"""Distance of the accented beats from the others, over the spread within both, from which the accent alone gives the
meter. A click track has more than 10; songs with drums and harmony have less than 3, or the accent on the downbeat."""
_ACCENTED_METERS = (2, 3, 4, 5, 6, 7)
_SILENT = 0.1
"""Level midway between the beats over the level at the beats, below which there is nothing but clicks. A metronome has
0, the quietest of 144 generated songs and ten real ones 1.1."""
_SAME_BASS = (0.8, 1.25)
"""Bass of the accented clicks over that of the others, if they are clicks of one metronome (0.96). That of snare and
kick is 0.4 to 0.6."""
CONTRAST_WEIGHT = 0.1
"""Weight of `contrast` in the score. Chosen on 144 generated and ten real songs, cut into stretches of 64 beats: the
score is higher on the beats than midway between them in .995 of the generated ones (.972 without) and .90 of the
real ones (.85 without)."""
_MIN_SPREAD = 1e-3
_MIN_BEATS = 4
_USUAL = 4


@dataclass(frozen=True, slots=True)
class Bars:
    """The bars of a song of n beats."""

    is_downbeat: NDArray[np.bool_]
    """(n,)"""
    beats_per_bar: int
    compound: bool
    """Each beat divides into three, as in 6/8."""
    score: float
    """Mean evidence of the meter plus the contrast of the downbeats with the points midway between the beats.
    Comparable among meters, and among the beats of a song and the points midway between them."""

    @property
    def time_signature(self) -> str:
        if self.compound and self.beats_per_bar == 2:  # noqa: PLR2004  two dotted crotchets
            return "6/8"
        return "7/8" if self.beats_per_bar == 7 else f"{self.beats_per_bar}/4"  # noqa: PLR2004  sevens count quavers


def find_bars(
    beats: Seconds,
    features: Features,
    tonal: Tonal,
    downbeat_activation: Floats,
    *,
    expected: tuple[int, ...] = (),
    numbers: NDArray[np.int64] | None = None,
) -> Bars:
    """Return the meter and the downbeats.

    Args:
        beats: (n,) rising times in seconds.
        features: of the song.
        tonal: of the song.
        downbeat_activation: (T,) the network's second output.
        expected: the numbers of beats in a bar that the chosen preset prefers.
        numbers: (n,) the number of each beat, rising; a silence leaves a gap. Without them, the beats are consecutive.
    """
    if len(beats) < _MIN_BEATS:
        return Bars(np.zeros(len(beats), bool), _USUAL, compound=False, score=0.0)
    counted = np.arange(len(beats)) if numbers is None else numbers
    accented = find_accents(beats, counted, features.log_bands)
    cues = cues_at(beats, features, tonal, downbeat_activation)
    # The weights of the other cues were chosen on songs: for them a bright click is a snare.
    evidence = standardised(accented.astype(np.float64)) if accented.any() else evidence_of(cues)
    spread = float(evidence.std()) + 1e-9
    thirds = _thirds(beats, features)
    compound_bonus = COMPOUND_BONUS * float(np.clip(np.log(thirds / COMPOUND_RATIO), 0, 1))
    interpretations: list[tuple[float, int, NDArray[np.int64]]] = []
    bonuses = _meters(counted, accented)
    meters = [each for each in bonuses if each == _USUAL or len(beats) >= MIN_BARS * each]
    for meter, (mean, positions) in zip(meters, best_positions(evidence, meters, counted), strict=True):
        favour = EXPECTED_BONUS if meter in expected else 0.0
        favour += compound_bonus if meter == 2 else 0.0  # noqa: PLR2004
        # Perfect evidence scores 1 in every meter.
        interpretations.append(
            (mean * np.sqrt(meter - 1) / spread + bonuses[meter] + favour, meter, positions)
        )
    score, meter, positions = max(interpretations, key=lambda reading: reading[0])
    is_downbeat = positions == 0
    midway = beats[:-1] + np.diff(beats) / 2
    score += CONTRAST_WEIGHT * contrast(
        cues, cues_at(midway, features, tonal, downbeat_activation), is_downbeat
    )
    return Bars(is_downbeat, meter, thirds > COMPOUND_RATIO, float(score))


def find_accents(beats: Seconds, numbers: NDArray[np.int64], log_bands: Floats) -> NDArray[np.bool_]:
    """Return which beats are accented, as in a click track: (n,), all False for any other song.

    One beat in two to seven is accented if it is louder than the others, and if the onset spectra of the two kinds
    differ by ACCENT times their spread within each kind. Two needs a metronome and nothing else: in a backbeat every
    other beat is accented, and it is not the downbeat.

    Args:
        beats: (n,) rising times in seconds.
        numbers: (n,) the number of each beat.
        log_bands: (T, 82) log spectrum.
    """
    rise = onset_rise(beats, log_bands)
    only_clicks = _only_clicks(beats, rise, log_bands)
    found: list[tuple[float, NDArray[np.bool_]]] = [(ACCENT, np.zeros(len(beats), bool))]
    for meter in _ACCENTED_METERS:
        if len(beats) < MIN_BARS * meter:
            continue
        for first in range(meter):
            chosen = numbers % meter == first
            if not 0 < chosen.sum() < len(beats):
                continue
            one, other = rise[chosen], rise[~chosen]
            gap = float(((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum())
            spread = float(one.var(axis=0).sum() + other.var(axis=0).sum())
            if one.mean() > other.mean() and (meter > 2 or only_clicks):  # noqa: PLR2004  a backbeat has two
                found.append((gap / max(spread, _MIN_SPREAD), chosen))
    return max(found, key=lambda each: each[0])[1]


def _only_clicks(beats: Seconds, rise: Floats, log_bands: Floats) -> bool:
    """Return whether the song is silent between the beats, and every other beat has as much bass as its neighbours."""
    middle = np.round((beats[:-1] + beats[1:]) / 2 * FRAME_RATE_HZ).astype(int).clip(0, len(log_bands) - 1)
    if float(log_bands[middle].mean()) > _SILENT * float(rise.mean()):
        return False
    bass = rise[:, filterbank().select(*ONSET_BANDS_HZ["low"])].mean(axis=1)
    return _SAME_BASS[0] < float(bass[::2].mean()) / (float(bass[1::2].mean()) + 1e-9) < _SAME_BASS[1]


def _meters(numbers: NDArray[np.int64], accented: NDArray[np.bool_]) -> dict[int, float]:
    """Return the meters that are possible, each with its bonus: the accents of a click track leave one."""
    if not accented.any():
        return METER_BONUS
    return {int(np.diff(numbers[accented]).min()): 0.0}


def _thirds(beats: Seconds, features: Features) -> float:
    """Return how much stronger onsets are at the weaker third of the beat than at its half."""
    onsets = features.onsets.sum(axis=1)
    intervals = np.diff(beats)

    def at(share: float) -> float:
        return float(np.mean(strength_at(beats[:-1] + share * intervals, onsets, reach=2)))

    return (min(at(1 / 3), at(2 / 3)) + 1e-9) / (at(1 / 2) + 1e-9)
