"""Compares the even and the odd beats of a pulse by the drums at them, and drops beats without any drum.

In a ballad at 62 BPM with busy cymbals a network finds 124. The drums tell: kick and snare alternate at the slow beats
(the backbeat), and the others have cymbals only.
"""

from dataclasses import dataclass

import numpy as np

from k1_analysis.engine.audio.features import Features
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.times import strength_at
from k1_analysis.engine.beats.interpretations import double_beats
from k1_analysis.engine.beats.tempo import tempo

BACKBEAT = 0.2
"""Contrast of even and odd beats above which kick and snare already alternate."""
NO_SOUND = 0.02
"""Share of the onsets at the stronger beats below which the weaker ones have no sound at all."""
SLOWEST_BPM = 40.0
"""The tempo is not halved to less than this."""
BALLAD_BPM = (104.0, 136.0)
"""A tempo in this range may be twice a slow one. Above it, a snare on every fourth beat is a half-time groove."""
CYMBALS_ONLY = 0.25
"""Onsets below 120 Hz and of 120-500 Hz at the weaker beats, as a share of those at the stronger, up to which
neither kick nor bass play there; the snare's band may have twice that, because it holds voices and chords too."""
KIT = 0.7
"""Onsets above 3 kHz over those of 500-3000 Hz, from which a drum kit plays; strings and a harp stay below .3."""
EVERY_BEAT_STRUCK = 0.6
"""Quartile of the drums at the stronger beats, as a share of their mean, from which each of them has a drum."""
FEW_DRUMS = 0.35
"""Median of the drums at the weaker beats, as a share of that at the stronger, up to which those have none."""
FEWER_DRUMS = 0.55
"""The same share, up to which perhaps only every other one is a beat."""
ALTERNATING = -0.25
"""Correlation of the snare's band at a beat and the next, below which it sounds at every other beat only. Songs at
twice their tempo have less; drum and bass and rock, where kick and snare alternate, have more."""
EVERY_OTHER = 0.5
"""Correlation of the onsets above 3 kHz at a beat and two beats later, from which a snare plays at every other beat."""
LESS_KICK = 0.7
"""Kick at the beats with the snare, as a share of that at the others, up to which the two alternate. In a song at twice
its tempo the beats with the cymbals have the kick too: 1.7 and more."""
EVERY_BEAT_SURE = 0.5
"""Median activation at the weaker beats from which the network is sure of them. Chosen on 144 generated and ten real
songs: metal at 190 BPM has .52."""
_BAR = 4
_NOTHING = 1e-9
_MOST = 95
_LOW, _BASS, _MID, _HIGH = 0, 1, 2, 3
_REACH = 2
_RISE_LAG = 2
_RISE_FRAMES = np.arange(-3, 4)


@dataclass(frozen=True, slots=True)
class AlternateBeats:
    """The even and the odd beats of a pulse, compared by the sound at them."""

    stronger: Seconds
    """The half of the beats with more onsets."""
    onsets: Seconds
    """(4,) mean onset at the weaker beats over that at the stronger, in ONSET_BANDS_HZ."""
    cymbals: float
    """Mean onset above 3 kHz over that of 500-3000 Hz, at the stronger beats."""
    drums: float
    """Median of the louder of kick and snare at the weaker beats over that at the stronger."""
    least_drums: float
    """Lower quartile of the drums at the stronger beats, 1 is their mean."""
    snare: float
    """Correlation of the onsets of 500-3000 Hz at a beat and at the next, -1..1."""
    alternating: bool
    """Kick and snare alternate: a beat with much above 3 kHz and little below 120 Hz follows each other beat."""
    activation: float
    """Median activation at the weaker beats."""

    @property
    def kit(self) -> bool:
        """Return whether a drum kit plays."""
        return self.cymbals >= KIT

    @property
    def equal(self) -> bool:
        """Return whether drums and network support the weaker beats as much as the stronger: all are beats."""
        even = self.drums > FEWER_DRUMS and self.snare > ALTERNATING
        return self.kit and (even or self.alternating) and self.activation >= EVERY_BEAT_SURE

    @property
    def uneven(self) -> bool:
        """Return whether the drums support the stronger beats alone: the others may be no beats."""
        return self.drums <= FEWER_DRUMS and self.snare <= ALTERNATING and not self.alternating


def compare_alternate_beats(beats: Seconds, features: Features, activation: Floats) -> AlternateBeats:
    """Return the even and the odd beats, compared.

    Args:
        beats: two or more rising times in seconds.
        features: of the song.
        activation: (T,) the network's beat probability.
    """
    parts = (beats[::2], beats[1::2])
    means = [np.array([_mean_at(part, features.onsets[:, band]) for band in range(4)]) for part in parts]
    strong = int(means[1].sum() > means[0].sum())
    scale = np.maximum(means[strong], _NOTHING)
    at = [
        np.max(
            [strength_at(part, features.onsets[:, band], _REACH) / scale[band] for band in (_LOW, _MID)],
            axis=0,
        )
        for part in parts
    ]
    return AlternateBeats(
        stronger=parts[strong],
        onsets=means[1 - strong] / scale,
        cymbals=float(means[strong][_HIGH] / scale[_MID]),
        drums=float(np.median(at[1 - strong]) / max(float(np.median(at[strong])), _NOTHING)),
        least_drums=float(np.percentile(at[strong], 25)),
        snare=_lag_correlation(1, beats, features.onsets[:, _MID]),
        alternating=_kick_and_snare_alternate(beats, features.onsets),
        activation=float(np.median(strength_at(parts[1 - strong], activation, _REACH))),
    )


def _kick_and_snare_alternate(beats: Seconds, onsets: Floats) -> bool:
    """Return whether kick and snare alternate at the beats, in either order."""
    high = onsets[:, _HIGH]
    one_by_one = (
        _lag_correlation(1, beats, high) <= ALTERNATING and _lag_correlation(2, beats, high) >= EVERY_OTHER
    )
    snares, kicks = sorted((beats[::2], beats[1::2]), key=lambda half: -_mean_at(half, high))
    return one_by_one and _mean_at(snares, onsets[:, _LOW]) <= LESS_KICK * _mean_at(kicks, onsets[:, _LOW])


def _lag_correlation(step: int, beats: Seconds, onsets: Floats) -> float:
    """Return the correlation of the onsets at each beat and `step` beats later; very loud ones are clipped."""
    if len(beats) <= step:
        return 0.0
    values = strength_at(beats, onsets, _REACH).astype(np.float64)
    even = np.minimum(values, np.percentile(values, _MOST))
    even -= even.mean()
    return float(np.mean(even[step:] * even[:-step]) / max(float(np.mean(even**2)), _NOTHING))


def to_half_tempo(beats: Seconds, features: Features, activation: Floats) -> Seconds:
    """Return the beats, or every other one if the rest have no drum.

    Every other one if there is no sound at all at the rest, as between the clicks of a slow metronome; or, at
    BALLAD_BPM, if every other beat has a kick or a snare in turn and the rest have cymbals only.

    Args:
        beats: rising times in seconds.
        features: of the song.
        activation: (T,) the network's beat probability.
    """
    if len(beats) < 4 * _BAR or tempo(beats) < 2 * SLOWEST_BPM:
        return beats
    found = compare_alternate_beats(beats, features, activation)
    if found.onsets.max() <= NO_SOUND:
        return found.stronger
    lowest, highest = BALLAD_BPM
    kick, bass, snare = found.onsets[[_LOW, _BASS, _MID]]
    cymbals_only = found.kit and found.uneven and max(kick, bass, snare / 2) <= CYMBALS_ONLY
    every_beat_has_drum = (
        found.least_drums >= EVERY_BEAT_STRUCK and backbeat(found.stronger, features.log_bands) >= BACKBEAT
    )
    return (
        found.stronger
        if lowest <= tempo(beats) <= highest and cymbals_only and every_beat_has_drum
        else beats
    )


def backbeat(beats: Seconds, log_bands: Floats) -> float:
    """Return the difference between even and odd beats, as a share of all change from beat to beat.

    It is the difference of their mean onsets in one bar of four, multiplied by that in the next. Random differences
    cancel out, so a song without a backbeat is near 0.
    """
    frames = (np.round(beats * FRAME_RATE_HZ).astype(int)[:, None] + _RISE_FRAMES).clip(
        _RISE_LAG, len(log_bands) - 1
    )
    rise = np.maximum(log_bands[frames] - log_bands[frames - _RISE_LAG], 0).max(axis=1)
    shares: list[float] = []
    for first in range(0, len(rise) - 2 * _BAR + 1, _BAR):
        pair = rise[first : first + 2 * _BAR]
        one, other = (bar[::2].mean(axis=0) - bar[1::2].mean(axis=0) for bar in (pair[:_BAR], pair[_BAR:]))
        spread = float(((pair - pair.mean(axis=0)) ** 2).sum(axis=1).mean())
        shares.append(float(one @ other) / max(spread, 1e-9))
    return float(np.mean(shares)) if shares else 0.0


def quiet_between(beats: Seconds, features: Features, activation: Floats) -> bool:
    """Return whether neither kick nor snare plays between the beats, so that twice as many would be too many.

    Args:
        beats: rising times in seconds.
        features: of the song.
        activation: (T,) the network's beat probability.
    """
    if all(_between_to_at(beats, features.onsets[:, band]) <= FEW_DRUMS for band in (_LOW, _MID)):
        return True
    double = double_beats(beats)
    return len(to_half_tempo(double, features, activation)) < len(double)


def _between(beats: Seconds) -> Seconds:
    return (beats[1:] + beats[:-1]) / 2


def _between_to_at(beats: Seconds, onsets: Floats) -> float:
    """Return the mean onset between the beats over that at the beats."""
    return _mean_at(_between(beats), onsets) / max(_mean_at(beats, onsets), _NOTHING)


def _mean_at(times: Seconds, onsets: Floats) -> float:
    return float(np.mean(strength_at(times, onsets, _REACH)))
