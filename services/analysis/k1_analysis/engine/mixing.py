"""Whether the mean of a song's channels is the song: stereo whose sides cancel leaves nothing of it.

A channel carries everything that lies in the difference of the channels, and everything that lies in their mean.
"""

from dataclasses import dataclass, field

import numpy as np
from av.audio.frame import AudioFrame

from k1_analysis.engine.framing import HOP, Floats
from k1_analysis.engine.resample import channels_of

CANCELLING = 0.1
"""Onsets this many times weaker in the mean than channels without any relation would leave them are cancelled."""
CANCELLED_SHARE = 0.25
"""The share of a song's onsets that must be cancelled before one channel stands for all."""
_BLOCK_FRAMES = 10


@dataclass(slots=True)
class CancellationMeter:
    """Compares the onsets in the mean of the channels with those in the channels, ten seconds at a time."""

    _channels: list[Floats] = field(default_factory=list[Floats])
    _mean: list[float] = field(default_factory=list[float])

    def push(self, frame: AudioFrame) -> None:
        """Look at an interleaved float32 frame of about a second; the number of channels never changes."""
        samples = channels_of(frame)
        if samples.shape[1] == 1 or len(samples) < 2 * HOP:
            return
        self._channels.append(_rises(samples))
        self._mean.append(float(_rises(samples.mean(axis=1, dtype=np.float32, keepdims=True))[0]))

    def stronger_channel(self) -> int | None:
        """Return the channel to use instead of the mean; None where the mean will do."""
        if not self._channels:
            return None
        starts = np.arange(0, len(self._mean), _BLOCK_FRAMES)
        each = np.add.reduceat(np.array(self._channels, np.float64), starts)
        mean = np.add.reduceat(np.array(self._mean), starts)
        total, count = each.sum(axis=1), each.shape[1]
        if not total.sum():
            return None
        cancelled = mean * count**2 < CANCELLING * total
        if total[cancelled].sum() < CANCELLED_SHARE * total.sum():
            return None
        return int(each.sum(axis=0).argmax())


def _rises(samples: Floats) -> Floats:
    """(channels,) sum of the rises in power of the first difference from hop to hop: where something is struck."""
    hops = (len(samples) - 1) // HOP
    steps = np.diff(samples[: hops * HOP + 1], axis=0).reshape(hops, HOP, samples.shape[1])
    power = np.einsum("ijk,ijk->ik", steps, steps)
    return np.maximum(np.diff(power, axis=0), 0).sum(axis=0)
