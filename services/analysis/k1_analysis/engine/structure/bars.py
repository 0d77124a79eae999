"""Finds the meter and the downbeats: which beats begin a bar, and how many beats a bar has.

Each beat gets evidence (low onsets, changes of harmony, bass and timbre, the network's downbeat output), then a
Viterbi pass over the position in the bar finds the best positions for each meter; the best meter wins.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.features import Features, filterbank
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.audio.tonal import Tonal, beat_means

METER_BONUS = {4: 0.08, 3: 0.0, 2: -0.3, 5: -0.1, 7: -0.2}
"""Added to the mean evidence of a meter: most music is in four, music in four also fits two, and long odd bars need
clear evidence."""
COMPOUND_BONUS = 0.5
"""Added to two for each factor e by which onsets at the thirds of the beat exceed COMPOUND_RATIO: 6/8."""
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
_ACCENTED_METERS = (3, 4, 5, 7)
"""Two is left out: in a backbeat every other beat is accented, and it is not the downbeat."""
_RESET_COST = 16.0
"""Log-odds against a bar that starts early, as after a cut."""
_RESUME_COST = 2.0
"""The same after a silence, where a song may well begin with a bar."""
_WEIGHTS = {
    "low": 0.6,
    "mid": -0.3,
    "high": 0.15,
    "chroma": 1.0,
    "chroma_wide": 0.5,
    "bass": 1.0,
    "bass_wide": 0.5,
    "timbre": 0.3,
    "network": 3.0,
}
_ONSET_BANDS_HZ = {"low": (0.0, 120.0), "mid": (200.0, 2500.0), "high": (5000.0, 20_000.0)}
_ONSET_FRAMES = np.arange(-4, 6)
_NETWORK_FLOOR = 1e-3
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
    """Mean evidence of the meter, comparable among meters."""

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
    # The other features were chosen on songs: for them a bright click is a snare.
    evidence = (
        _standardised(accented.astype(np.float64))
        if accented.any()
        else _evidence(beats, features, tonal, downbeat_activation)
    )
    spread = float(evidence.std()) + 1e-9
    thirds = _thirds(beats, features)
    compound_bonus = COMPOUND_BONUS * max(0.0, np.log(thirds / COMPOUND_RATIO))
    interpretations: list[tuple[float, int, NDArray[np.int64]]] = []
    for meter, bonus in METER_BONUS.items():
        if meter != _USUAL and len(beats) < MIN_BARS * meter:
            continue
        mean, positions = _best_positions(evidence, meter, counted)
        favour = EXPECTED_BONUS if meter in expected else 0.0
        favour += compound_bonus if meter == 2 else 0.0  # noqa: PLR2004
        # Perfect evidence scores 1 in every meter.
        interpretations.append((mean * np.sqrt(meter - 1) / spread + bonus + favour, meter, positions))
    score, meter, positions = max(interpretations, key=lambda reading: reading[0])
    return Bars(positions == 0, meter, thirds > COMPOUND_RATIO, float(score))


def find_accents(beats: Seconds, numbers: NDArray[np.int64], log_bands: Floats) -> NDArray[np.bool_]:
    """Return which beats are accented, as in a click track: (n,), all False for any other song.

    One beat in three, four, five or seven is accented if it is louder than the others, and if the onset spectra of the
    two kinds differ by ACCENT times their spread within each kind.

    Args:
        beats: (n,) rising times in seconds.
        numbers: (n,) the number of each beat.
        log_bands: (T, 82) log spectrum.
    """
    none = np.zeros(len(beats), bool)
    frames = np.round(beats * FRAME_RATE_HZ).astype(int)[:, None] + _ONSET_FRAMES
    now, before = frames.clip(0, len(log_bands) - 1), (frames - 2).clip(0, len(log_bands) - 1)
    rise = np.maximum(log_bands[now] - log_bands[before], 0).max(axis=1)
    found: list[tuple[float, NDArray[np.bool_]]] = [(ACCENT, none)]
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
            if one.mean() > other.mean():
                found.append((gap / max(spread, _MIN_SPREAD), chosen))
    return max(found, key=lambda each: each[0])[1]


def _evidence(beats: Seconds, features: Features, tonal: Tonal, downbeat_activation: Floats) -> Seconds:
    """Return (n,): weighted sum of the standardised features that mark a downbeat."""
    chroma = _directions(beat_means(tonal.chroma - tonal.chroma.min(axis=1, keepdims=True), beats))
    bass = _directions(beat_means(tonal.bass_chroma - tonal.bass_chroma.min(axis=1, keepdims=True), beats))
    timbre = beat_means(tonal.mfcc, beats)
    clues = _band_onsets(beats, features.log_bands) | {
        "chroma": _change(chroma, 1),
        "chroma_wide": _change(chroma, 2),
        "bass": _change(bass, 1),
        "bass_wide": _change(bass, 2),
        "timbre": np.concatenate([[0], np.linalg.norm(np.diff(timbre, axis=0), axis=1)]),
        "network": np.log(strength_at(beats, downbeat_activation) + _NETWORK_FLOOR),
    }
    total = np.zeros(len(beats))
    for name, weight in _WEIGHTS.items():
        total += weight * _standardised(np.asarray(clues[name], np.float64))
    return total


def _band_onsets(beats: Seconds, log_bands: Floats) -> dict[str, Floats]:
    """Return the greatest rise over two frames around each beat, in three bands."""
    frames = np.round(beats * FRAME_RATE_HZ).astype(int)[:, None] + _ONSET_FRAMES
    now, before = frames.clip(0, len(log_bands) - 1), (frames - 2).clip(0, len(log_bands) - 1)
    bank = filterbank()
    return {
        name: np.maximum(log_bands[now, bank.select(*hz)] - log_bands[before, bank.select(*hz)], 0)
        .mean(axis=2)
        .max(axis=1)
        for name, hz in _ONSET_BANDS_HZ.items()
    }


def _directions(rows: Floats) -> Floats:
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)


def _change(rows: Floats, width: int) -> Seconds:
    """Return (n,): one minus the cosine of the means of `width` rows before and from each row; 0 for the first."""
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    here = np.arange(len(rows))
    before = sums[here] - sums[(here - width).clip(0)]
    after = sums[(here + width).clip(max=len(rows))] - sums[here]
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    change = 1 - (before * after).sum(axis=1) / (norms + 1e-9)
    change[0] = 0
    return change


def _standardised(values: Seconds) -> Seconds:
    spread = values.std()
    return (values - values.mean()) / (spread if spread > 1e-9 else 1.0)  # noqa: PLR2004  a constant clue


def _best_positions(
    evidence: Seconds, meter: int, numbers: NDArray[np.int64]
) -> tuple[float, NDArray[np.int64]]:
    """Return (mean evidence of the best path, (n,) position in the bar of each beat)."""
    n = len(evidence)
    emission = np.repeat(-evidence[:, None] / (meter - 1), meter, axis=1)
    emission[:, 0] = evidence
    came_from = np.zeros((n, meter), np.int64)
    steps = np.diff(numbers)
    score = emission[0].copy()
    for beat in range(1, n):
        onward = (np.arange(meter) - steps[beat - 1]) % meter
        stay, best = score[onward], int(score.argmax())
        jump = score[best] - (_RESET_COST if steps[beat - 1] == 1 else _RESUME_COST)
        came_from[beat] = np.where(stay >= jump, onward, best)
        score = np.maximum(stay, jump) + emission[beat]
    positions = np.empty(n, np.int64)
    positions[-1] = score.argmax()
    for beat in range(n - 1, 0, -1):
        positions[beat - 1] = came_from[beat, positions[beat]]
    return float(score.max()) / n, positions


def _thirds(beats: Seconds, features: Features) -> float:
    """Return how much stronger onsets are at the weaker third of the beat than at its half."""
    onsets = features.onsets.sum(axis=1)
    intervals = np.diff(beats)

    def at(share: float) -> float:
        return float(np.mean(strength_at(beats[:-1] + share * intervals, onsets, reach=2)))

    return (min(at(1 / 3), at(2 / 3)) + 1e-9) / (at(1 / 2) + 1e-9)
