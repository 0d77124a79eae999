"""Computes a second beat and downbeat activation: BeatNet's model 1 in plain numpy.

Heydari, Cwitkowitz and Duan, "BeatNet: CRNN and particle filtering for online joint beat, downbeat and meter
tracking", ISMIR 2021. Only the network: a convolution over frequency and two unidirectional LSTM layers. Weights:
CC BY 4.0, see `training/beatnet/MODEL_CARD.md`.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from k1_analysis.engine.audio.features import QUIETEST_PEAK
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, HOP, Floats, FrameCutter
from k1_analysis.engine.beats.trackers import beatnet_features as spectrum

WEIGHTS_FILE = "beatnet_model_1.npz"
RATE_HZ = 50
BIAS_S = -0.0015
"""The median distance from the beats to the peaks of the activation, on real songs: the peaks are early."""
_BLOCK = 256


class BeatNetModel:
    """The parameters in the layout that the computation needs; `weights` as `training/beatnet/convert.py` names them."""

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        arrays = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self.convolution = _pooled_convolution(arrays["conv.weight"], 2 * spectrum.BANDS)
        positions = self.convolution[0].shape[1] // len(arrays["conv.bias"])
        self.convolution_bias = np.repeat(arrays["conv.bias"], positions)
        self.dense = arrays["dense.weight"].T, arrays["dense.bias"]
        self.layers = [_lstm_parameters(arrays, layer) for layer in range(2)]
        self.out = arrays["out.weight"].T, arrays["out.bias"]

    def front(self, rows: Floats) -> Floats:
        """Return (frames, 150) from (frames, 272): convolution, maximum of two, rectifier, dense layer."""
        even, odd = self.convolution
        hidden = np.maximum(rows @ even, rows @ odd)
        hidden += self.convolution_bias
        np.maximum(hidden, 0, out=hidden)
        return hidden @ self.dense[0] + self.dense[1]


class LstmLayer:
    """One unidirectional LSTM layer. It remembers its state from one block to the next."""

    def __init__(self, inward: Floats, recurrent: Floats, bias: Floats) -> None:
        """Take (in, 4 H), (H, 4 H) and (4 H,) with the gates in the order input, forget, output, cell.

        The first three gates are halved: the logistic function of x is (1 + tanh(x / 2)) / 2, and so one tanh computes
        all four.
        """
        self._inward, self._recurrent, self._bias = inward, recurrent, bias
        self._size = len(recurrent)
        self._hidden, self._cell = np.zeros((2, self._size), np.float32)

    def __call__(self, rows: Floats) -> Floats:
        """Return (frames, H) from (frames, in)."""
        size, cell, hidden = self._size, self._cell, self._hidden
        drive = rows @ self._inward + self._bias
        output = np.empty((len(rows), size), np.float32)
        gates = np.empty(4 * size, np.float32)
        logistic = gates[: 3 * size]
        take, keep, give, new = gates.reshape(4, size)
        half = np.float32(0.5)
        for driven, row in zip(drive, output, strict=True):
            np.dot(hidden, self._recurrent, out=gates)
            np.add(gates, driven, out=gates)
            np.tanh(gates, out=gates)
            np.multiply(logistic, half, out=logistic)
            np.add(logistic, half, out=logistic)
            np.multiply(cell, keep, out=cell)
            np.multiply(new, take, out=new)
            np.add(cell, new, out=cell)
            np.tanh(cell, out=row)
            np.multiply(row, give, out=row)
            hidden = row
        self._hidden = hidden.copy()
        return output


class BeatNetExtractor:
    """Computes the activation of mono float32 samples at 44.1 kHz (finite), pushed in blocks of any size."""

    def __init__(self, model: BeatNetModel | None = None) -> None:
        self._model = model or default_model()
        self._layers = [LstmLayer(*parameters) for parameters in self._model.layers]
        self._cutter = FrameCutter(spectrum.WINDOW, spectrum.HOP, _BLOCK)
        self._spectra: list[NDArray[np.float16]] = []
        self._before: Floats | None = None
        self._received = 0
        self._peak = 0.0

    def push(self, samples: Floats) -> None:
        self._received += len(samples)
        self._peak = max(self._peak, float(np.abs(samples).max(initial=0)))
        self._spectra.extend(_stored(windows) for windows in self._cutter.push(samples))

    def finish(self) -> Floats:
        """Return (T, 2): probabilities of a beat and of a downbeat, FRAME_RATE_HZ a second; T as for `Features`.

        A downbeat is a beat too. The extractor cannot be used again.
        """
        self._spectra.extend(_stored(windows) for windows in self._cutter.finish())
        # The level of a quiet song is known only now: the compression depends on it.
        gain = QUIETEST_PEAK / self._peak if 0 < self._peak < QUIETEST_PEAK else 1.0
        found = np.concatenate([self._probabilities(stored, gain) for stored in self._spectra])
        return _at_frame_rate(found, 1 + self._received // HOP)

    def _probabilities(self, stored: NDArray[np.float16], gain: float) -> Floats:
        """Return the (frames, 2) probabilities of the next block."""
        log_bands = stored.astype(np.float32)
        if gain != 1:
            log_bands = np.log10(1 + gain * (10**log_bands - 1))
        hidden = self._model.front(spectrum.with_rise(log_bands, self._before))
        self._before = log_bands[-1]
        for layer in self._layers:
            hidden = layer(hidden)
        weight, bias = self._model.out
        classes = softmax(hidden @ weight + bias, axis=1)
        return np.stack([classes[:, 0] + classes[:, 1], classes[:, 1]], axis=1)


def _stored(windows: Floats) -> NDArray[np.float16]:
    """Return the log spectrum in half precision: 16 MB for 20 minutes."""
    return spectrum.log_spectrum(windows).astype(np.float16)


def beatnet_activation(samples: Floats) -> Floats:
    """Return the (T, 2) activation of `samples` (mono float32 at 44.1 kHz, finite)."""
    extractor = BeatNetExtractor()
    extractor.push(samples)
    return extractor.finish()


@cache
def default_model() -> BeatNetModel:
    """Return the shipped model, read once per process."""
    with (
        as_file(files("k1_analysis.engine") / "weights" / WEIGHTS_FILE) as path,
        np.load(path) as arrays,
    ):
        return BeatNetModel(dict(arrays))


def _at_frame_rate(found: Floats, frames: int) -> Floats:
    """Return (frames, 2), interpolated from RATE_HZ and earlier by BIAS_S."""
    wanted_s = np.arange(frames) / FRAME_RATE_HZ + BIAS_S
    known_s = np.arange(len(found)) / RATE_HZ
    return np.stack([np.interp(wanted_s, known_s, column) for column in found.T], axis=1).astype(np.float32)


def _pooled_convolution(weight: Floats, columns: int) -> tuple[Floats, Floats]:
    """Return two (columns, channels * positions) matrices: the convolution at the even and at the odd positions.

    The maximum of the two is the convolution after pooling by two.
    """
    channels, taps = weight.shape
    positions = (columns - taps + 1) // 2
    matrices = np.zeros((2, columns, channels, positions), np.float32)
    for parity in range(2):
        for position in range(positions):
            first = 2 * position + parity
            matrices[parity, first : first + taps, :, position] = weight.T
    even, odd = matrices.reshape(2, columns, channels * positions)
    return even, odd


def _lstm_parameters(arrays: Mapping[str, Floats], layer: int) -> tuple[Floats, Floats, Floats]:
    """Return input and recurrent weights and bias as `LstmLayer` takes them.

    PyTorch's order of the gates is input, forget, cell, output.
    """
    bias = arrays[f"lstm.{layer}.bias"]
    size = len(bias) // 4
    order = np.arange(4 * size).reshape(4, size)[[0, 1, 3, 2]].ravel()
    scale = np.where(np.arange(4 * size) < 3 * size, np.float32(0.5), np.float32(1))
    inward, recurrent = (
        np.ascontiguousarray(arrays[f"lstm.{layer}.{name}"].T[:, order] * scale)
        for name in ("input", "recurrent")
    )
    return inward, recurrent, bias[order] * scale
