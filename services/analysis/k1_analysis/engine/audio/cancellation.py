"""Finds songs whose channels cancel each other in their mean, and the channel to use instead.

A channel carries everything that lies in the difference of the channels, and everything that lies in their mean.
"""

from dataclasses import dataclass, field

import numpy as np
from av.audio.frame import AudioFrame

from k1_analysis.engine.audio.framing import HOP, Floats
from k1_analysis.engine.audio.resampling import channels_of

CANCELLING = 0.1
"""Onsets are cancelled if the mean holds less than this share of what unrelated channels would leave there."""
CANCELLED_SHARE = 0.25
"""Share of a song's cancelled onsets from which one channel is used instead of the mean."""
STRUCK = 2.0
"""Growth of power that marks an onset; tones that beat against each other stay below it."""
_SPAN = 4
"""Hops over which power is compared: 40 ms, longer than the beating of two notes of a chord."""
_BLOCK_FRAMES = 5


@dataclass(slots=True)
class CancellationMeter:
    """Compares the onsets in the mean of the channels with those in the channels, five seconds at a time."""

    _channels: list[Floats] = field(default_factory=list[Floats])
    _mean: list[float] = field(default_factory=list[float])

    def push(self, frame: AudioFrame) -> None:
        """Add an interleaved float32 frame of about a second; the number of channels never changes."""
        if frame.layout.nb_channels == 1 or frame.samples < 3 * _SPAN * HOP:
            return
        samples = channels_of(frame)
        self._channels.append(_onset_power(samples))
        mean = samples.mean(axis=1, dtype=np.float32, keepdims=True)
        self._mean.append(float(_onset_power(mean)[0]))

    def stronger_channel(self) -> int | None:
        """Return the channel to use instead of the mean; None if the mean is fine."""
        if not self._channels:
            return None
        starts = np.arange(0, len(self._mean), _BLOCK_FRAMES)
        each = np.add.reduceat(np.array(self._channels, np.float64), starts)
        in_mean = np.add.reduceat(np.array(self._mean), starts)
        total, count = each.sum(axis=1), each.shape[1]
        cancelled = in_mean * count**2 < CANCELLING * total
        if total[cancelled].sum() <= CANCELLED_SHARE * total.sum():
            return None
        return int(each.sum(axis=0).argmax())


def _onset_power(samples: Floats) -> Floats:
    """Return (channels,) sum of the jumps in power of the first difference of (samples, channels)."""
    hops = (len(samples) - 1) // HOP
    steps = np.diff(samples[: hops * HOP + 1], axis=0).reshape(hops, HOP, samples.shape[1])
    power = np.cumsum(np.einsum("ijk,ijk->ik", steps, steps, dtype=np.float64), axis=0)
    spans = power[_SPAN:] - power[:-_SPAN]
    before, after = spans[:-_SPAN], spans[_SPAN:]
    return np.where(after > STRUCK * before, after - before, 0).sum(axis=0).astype(np.float32)
