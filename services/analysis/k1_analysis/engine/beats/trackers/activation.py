"""Computes the beat and downbeat activation: a temporal convolutional network in plain numpy.

Architecture: Davies and Böck, "Temporal convolutional networks for musical audio beat tracking", EUSIPCO
2019, much reduced: about 100,000 parameters, a receptive field of +-20 s. The weights come from `training/beats`.
"""

import time
from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from scipy.special import expit

from k1_analysis.engine.audio.framing import Floats
from k1_analysis.engine.config import WEIGHTS_FILE

_BLOCK = 4096
_SEGMENT = 16_384
"""Frames computed at a time, so that memory does not grow with the song."""
_SPREAD_FLOOR = 1e-3
_Scale = tuple[float, float, float]


def network_input(log_bands: Floats) -> Floats:
    """Return (T, 164) from (T, 82): the log spectrum and its rise, each scaled to the song's spread.

    The training uses this function too, so that network and engine always agree.
    """
    return _network_rows(log_bands, _song_scale(log_bands), 0, len(log_bands))


class BeatNet:
    """The network. `weights` maps parameter names to arrays, as the training code exports them.

    inp (H, 2 * bands, 5), p1 (C, H, 1), then for each layer i: d.i (C, C, 5) with dilation 2**i and
    q.i (C, C, 1), last out (2, C, 1); each with its .weight and .bias.
    """

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        self.weights = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self.cpu_s = 0.0
        """CPU seconds of all calls so far, for the cost of a job."""
        self.layers = sum(name.startswith("d.") and name.endswith(".weight") for name in weights)

    def __call__(self, log_bands: Floats) -> Floats:
        """Return (T, 2): probabilities of a beat and of a downbeat from a (T, 82) log spectrum."""
        began = time.process_time()
        try:
            return self._run(log_bands)
        finally:
            self.cpu_s += time.process_time() - began

    def _run(self, log_bands: Floats) -> Floats:
        scale = _song_scale(log_bands)
        output = np.empty((len(log_bands), 2), np.float32)
        for first in range(0, len(log_bands), _SEGMENT):
            last = min(first + _SEGMENT, len(log_bands))
            start, stop = max(0, first - self.reach), min(len(log_bands), last + self.reach)
            output[first:last] = self._segment(log_bands, scale, start, stop)[first - start : last - start]
        return output

    @property
    def reach(self) -> int:
        """Return the number of frames to either side on which the output for a frame depends."""
        taps = (self.weights[name].shape[2] for name in ("inp.weight", "d.0.weight"))
        first, deep = (count // 2 for count in taps)
        return first + deep * (2**self.layers - 1)

    def _segment(self, log_bands: Floats, scale: _Scale, start: int, stop: int) -> Floats:
        """Return (stop - start, 2): the output for these frames, with zeros beyond them."""
        x = self._first_layers(log_bands, scale, start, stop)
        for layer in range(self.layers):
            inner = _elu(self._convolve(x, f"d.{layer}", 2**layer))
            x += self._convolve(inner, f"q.{layer}")
        return np.asarray(expit(self._convolve(_elu(x), "out")), np.float32)

    def _first_layers(self, log_bands: Floats, scale: _Scale, first: int, last: int) -> Floats:
        """Return (last - first, C): the input layers, computed block by block, because 164 columns need much memory."""
        reach = self.weights["inp.weight"].shape[2] // 2
        channels = self.weights["p1.weight"].shape[0]
        out = np.empty((last - first, channels), np.float32)
        for begin in range(first, last, _BLOCK):
            end = min(begin + _BLOCK, last)
            start, stop = max(0, begin - reach), min(len(log_bands), end + reach)
            hidden = _elu(self._convolve(_network_rows(log_bands, scale, start, stop), "inp"))
            out[begin - first : end - first] = self._convolve(hidden, "p1")[begin - start : end - start]
        return out

    def _convolve(self, x: Floats, name: str, dilation: int = 1) -> Floats:
        """Return (T, out) from (T, in): a centred dilated convolution, zeros beyond the ends."""
        weight = self.weights[f"{name}.weight"]
        taps = weight.shape[2]
        out = np.tile(self.weights[f"{name}.bias"], (len(x), 1))
        for tap in range(taps):
            shift = (tap - taps // 2) * dilation
            if abs(shift) >= len(x):
                continue  # a short song is wholly inside the zeros
            source = x[max(0, shift) : len(x) + min(0, shift)]
            target = max(0, -shift)
            out[target : target + len(source)] += source @ weight[:, :, tap].T
        return out


@cache
def default_net() -> BeatNet:
    """Return the shipped network, read once per process."""
    with as_file(files("k1_analysis.engine") / "weights" / WEIGHTS_FILE) as path:
        return load_net(path)


def load_net(path: Path) -> BeatNet:
    """Return the network whose parameters are in an .npz file."""
    with np.load(path) as arrays:
        return BeatNet(dict(arrays))


def _elu(x: Floats) -> Floats:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _song_scale(log_bands: Floats) -> _Scale:
    """Return mean and spread of the log spectrum and spread of its rise, summed in double precision."""
    sums = np.zeros(4)
    for first in range(0, len(log_bands), _BLOCK):
        last = min(first + _BLOCK, len(log_bands))
        block = log_bands[first:last].astype(np.float64)
        rise = _rise(log_bands, first, last).astype(np.float64)
        sums += block.sum(), (block**2).sum(), rise.sum(), (rise**2).sum()
    mean, square, rise_mean, rise_square = sums / max(1, log_bands.size)
    spread = float(np.sqrt(max(0.0, square - mean**2)))
    rise_spread = float(np.sqrt(max(0.0, rise_square - rise_mean**2)))
    return float(mean), spread, rise_spread


def _rise(log_bands: Floats, first: int, last: int) -> Floats:
    """Return the half-wave rectified difference of the rows first..last to the row before (0 for row 0)."""
    before = log_bands[np.maximum(np.arange(first, last) - 1, 0)]
    return np.maximum(log_bands[first:last] - before, 0)


def _network_rows(log_bands: Floats, scale: _Scale, first: int, last: int) -> Floats:
    mean, spread, rise_spread = scale
    level = (log_bands[first:last] - np.float32(mean)) / np.float32(spread + _SPREAD_FLOOR)
    rise = _rise(log_bands, first, last) / np.float32(rise_spread + _SPREAD_FLOOR)
    return np.concatenate([level, rise], axis=1)
