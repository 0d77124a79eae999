"""Refines the time of each beat: moves it to the network's peak, the attack or the onset nearby."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter1d

from k1_analysis.engine.audio.features import ATTACK_STEPS
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds

SNAP_S = 0.03
"""Greatest distance from a beat to an onset that it is moved to."""
TOUCH_S = 0.008
"""A sharp attack this near to the network's peak belongs to the same sound."""
EDGE_S = 0.02
"""A beat this much before the first sound belongs to it."""
ATTACK_RATE_HZ = FRAME_RATE_HZ * ATTACK_STEPS
CLEAR_ATTACK = 0.7
"""Rise of the attack curve (3 dB) that separates a struck note from the ripple of a held one."""
SHARP_ATTACK = 1.5
"""Rise (6 dB) of an attack so sharp that its time is exact to the millisecond."""
CLEAR_ACTIVATION = 0.1
"""Smoothed probability that separates a beat in the activation from one that the decoder filled in."""
_ATTACK_SMOOTHING = 3
_ATTACK_LEAD_S = 0.0015
"""How long before a drum's first sample the attack curve peaks (measured on drums of known position)."""
_ATTACK_FLOOR = 0.01

Number = TypeVar("Number", np.float32, np.float64)


def moving_mean(values: NDArray[Number], size: int) -> NDArray[Number]:
    """Return the mean of `size` neighbours of each of the values (>= 0) along the first axis, never below 0.

    The filter keeps a running sum, whose rounding errors leave it a little below 0 in silence after music: a root
    or a logarithm of that would be NaN.
    """
    return np.maximum(uniform_filter1d(values, size, axis=0), 0)


def onset_curve(onsets: Floats) -> Floats:
    """Return (T,): one onset function from (T, 4), each band above its mean and scaled to its recent spread."""
    above = np.maximum(onsets - 0.6 * moving_mean(onsets, 200), 0)
    power = above**2
    floor = 1e-3 * np.sqrt(power.mean(axis=0, keepdims=True)) + 1e-9
    scaled = above / (np.sqrt(moving_mean(power, 800)) + floor)
    curve = scaled @ np.array([3, 1, 1, 1], np.float32)
    return (curve / np.sqrt((curve**2).mean() + 1e-9)).astype(np.float32)


def attack_curve(attack: Floats) -> Floats:
    """Return (3 T,): rise of the log power over about 10 ms from `Features.attack`; 1 is 4.3 dB.

    The log makes a quiet attack count as much as a loud one; a floor below the loudest moment nearby keeps
    the noise of near silence out.
    """
    power = moving_mean(attack.astype(np.float64), _ATTACK_SMOOTHING)
    floor = maximum_filter1d(power, 3 * ATTACK_RATE_HZ) * _ATTACK_FLOOR + 1e-12
    level = np.log(power + floor)
    rise = np.zeros(len(level), np.float32)
    reach = _ATTACK_SMOOTHING // 2 + 1
    np.maximum(level[2 * reach :] - level[: -2 * reach], 0, out=rise[reach : len(level) - reach])
    return rise


def refine(beats: Seconds, activation: Floats, onsets: Floats, attacks: Floats) -> Seconds:
    """Return each beat, moved by at most SNAP_S + TOUCH_S to the start of a sound.

    The network's peak has priority: it has learned how slowly each instrument starts, which halves the error on
    sampled drums, strings and voices. Without such a peak the sharpest attack decides, or else the peak of the
    broader onset curve; without that the beat stays. At the end, a sharp attack within TOUCH_S gives the time to
    the millisecond.

    Args:
        beats: rising times in seconds.
        activation: the network's beat probability, 100 a second.
        onsets: `onset_curve`, 100 a second.
        attacks: `attack_curve`, 300 a second, beginning one step before time zero.
    """
    if not len(beats) or min(len(activation), len(onsets), len(attacks)) < 3:  # noqa: PLR2004  a peak needs neighbours
        return beats
    smooth_activation = np.asarray(gaussian_filter1d(activation, 1.0), np.float32)
    smooth_onsets = np.asarray(gaussian_filter1d(onsets, 1.0), np.float32)
    weakest = 0.1 * float(np.sqrt((smooth_onsets**2).mean()))
    attack = _Curve(attacks, ATTACK_RATE_HZ, _ATTACK_LEAD_S - 1 / ATTACK_RATE_HZ)
    times = _at_peaks(beats, beats, _Curve(smooth_onsets, FRAME_RATE_HZ), SNAP_S, weakest)
    times = _at_peaks(beats, times, attack, SNAP_S, CLEAR_ATTACK)
    times = _at_peaks(beats, times, _Curve(smooth_activation, FRAME_RATE_HZ), SNAP_S, CLEAR_ACTIVATION)
    return sorted_beats(_at_peaks(times, times, attack, TOUCH_S, SHARP_ATTACK))


@dataclass(frozen=True, slots=True)
class _Curve:
    """A function of time: value i belongs to start_s + i / rate_hz."""

    values: Floats
    rate_hz: int
    start_s: float = 0.0


def _at_peaks(beats: Seconds, otherwise: Seconds, curve: _Curve, reach_s: float, weakest: float) -> Seconds:
    """Return the time of the highest peak above `weakest` within `reach_s` of each beat, else that in `otherwise`.

    A parabola through the peak and its neighbours gives times between the samples.
    """
    values = curve.values
    reach = round(reach_s * curve.rate_hz)
    centres = np.round((beats - curve.start_s) * curve.rate_hz).astype(int)
    window = (centres[:, None] + np.arange(-reach, reach + 1)).clip(1, len(values) - 2)
    peak = window[np.arange(len(beats)), values[window].argmax(axis=1)]
    before, at, after = (values[peak + step].astype(np.float64) for step in (-1, 0, 1))
    bend = before - 2 * at + after
    found = (at >= before) & (at >= after) & (bend < 0) & (at > weakest)
    offset = 0.5 * (before - after) / np.where(bend < 0, bend, -1)
    return np.where(found, (peak + np.where(found, offset, 0)) / curve.rate_hz + curve.start_s, otherwise)


def sorted_beats(beats: Seconds, gap_s: float = 0.05) -> Seconds:
    """Return the beats >= 0, sorted, without those closer than `gap_s` to the one before."""
    beats = np.sort(beats[beats >= 0])
    return beats[np.diff(beats, prepend=-np.inf) >= gap_s]


def add_first_beat(beats: Seconds, start_s: float) -> Seconds:
    """Return the beats and, in front, the one at `start_s` that trackers miss because nothing sounds before it."""
    if len(beats) < 2:  # noqa: PLR2004  an interval needs two beats
        return beats
    earlier = 2 * beats[0] - beats[1]
    if abs(earlier - start_s) > 4 * EDGE_S:
        return beats
    return np.concatenate([[max(earlier, start_s)], beats])
