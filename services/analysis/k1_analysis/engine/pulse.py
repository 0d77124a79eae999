"""Which pulse of several a song is felt in, by its drums: what a beat activation alone leaves open.

A network that rarely heard 190 BPM reads such a song at 95, or sets its beats on the snare between the kicks. The
drums tell: at the beat, kick and snare take turns (the backbeat), and the kick is on the beat.
"""

from collections.abc import Collection

import numpy as np

from k1_analysis.engine.agreement import nearest
from k1_analysis.engine.features import Features
from k1_analysis.engine.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.rhythm import doubled, strength_at, tempo

HALVED_BPM = (75.0, 105.0)
"""Readings in this range may be half of a fast tempo; twice as much is the fastest that people play to."""
HEARD_BETWEEN = 0.35
"""Median activation between the beats from which the network hears a beat there too."""
KICK_BETWEEN, SNARE_BETWEEN = 0.3, 0.4
"""Onsets below 120 Hz and of 500-3000 Hz between the beats, as a share of those at the beats, from which drums go
on between them as they do at them."""
BACKBEAT = 0.2
"""Contrast of even and odd beats above which kick and snare already take turns."""
KICK_OFF = 1.5
"""Low onsets between the beats over those at the beats from which the kick lies between them."""
_VOTE = 0.7
"""Share of another tracker's beats that lie between these from which it speaks for a shift."""
_NEAR = 0.17
"""Distance from a beat that still belongs to it, as a share of the interval."""
_BAR = 4
_LOW, _MID = 0, 2
_REACH = 2
_RISE_LAG = 2
_RISE_FRAMES = np.arange(-3, 4)


def at_full_speed(beats: Seconds, features: Features, activation: Floats) -> Seconds:
    """The beats, or twice as many where these are every other beat of a fast song.

    Twice as many when no backbeat is heard in these, and drums and network go on between them. Chosen on songs of
    75-110 BPM with busy hip hop, funk and drumless ones among them, whose even and odd beats differ.

    Args:
        beats: rising times in seconds.
        features: of the song.
        activation: (T,) the network's beat probability.
    """
    lowest, highest = HALVED_BPM
    if len(beats) < 4 * _BAR or not lowest <= tempo(beats) <= highest:
        return beats
    heard = float(np.median(strength_at(_between(beats), activation, _REACH)))
    kick, snare = (_between_to_at(beats, features.onsets[:, band]) for band in (_LOW, _MID))
    goes_on = heard >= HEARD_BETWEEN and kick >= KICK_BETWEEN and snare >= SNARE_BETWEEN
    if not goes_on or backbeat(beats, features.log_bands) >= BACKBEAT:
        return beats
    # One more to either side: whether there is music is for others to say.
    first, last = 1.5 * beats[0] - 0.5 * beats[1], 1.5 * beats[-1] - 0.5 * beats[-2]
    return np.concatenate([[first], doubled(beats), [last]])


def on_the_kick(beats: Seconds, others: Collection[Seconds], features: Features) -> Seconds:
    """The beats, or the times between them where the kick and most of the other trackers' beats are.

    Args:
        beats: rising times in seconds.
        others: beats of the other trackers.
        features: of the song.
    """
    if len(beats) < 4 * _BAR or _between_to_at(beats, features.onsets[:, _LOW]) < KICK_OFF:
        return beats
    between = _between(beats)
    votes = [_share_at(between, times) >= _VOTE for times in others if len(times) >= _BAR]
    if sum(votes) < 2 or 2 * sum(votes) <= len(votes):  # noqa: PLR2004  one tracker alone may err
        return beats
    return np.concatenate([[1.5 * beats[0] - 0.5 * beats[1]], between, [1.5 * beats[-1] - 0.5 * beats[-2]]])


def backbeat(beats: Seconds, log_bands: Floats) -> float:
    """How far even and odd beats sound unlike, as a share of all that changes from beat to beat.

    The difference of their mean onsets in one bar of four, multiplied by that in the next: chance cancels out,
    so a song without a backbeat is near 0.
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


def _between(beats: Seconds) -> Seconds:
    return (beats[1:] + beats[:-1]) / 2


def _between_to_at(beats: Seconds, onsets: Floats) -> float:
    """Mean onset between the beats over that at the beats."""
    between, at = (float(np.mean(strength_at(times, onsets, _REACH))) for times in (_between(beats), beats))
    return between / max(at, 1e-9)


def _share_at(pulse: Seconds, times: Seconds) -> float:
    near = _NEAR * float(np.median(np.diff(pulse)))
    return float(np.mean(np.abs(pulse[nearest(pulse, times)] - times) <= near))
