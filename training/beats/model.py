"""The network in PyTorch, with the parameter names and shapes of the engine's `beats.trackers.activation`."""

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

BANDS = 82
HIDDEN, CHANNELS, LAYERS, TAPS = 48, 32, 10, 5
DROPOUT = 0.1
AVERAGE_DECAY = 0.999


class BeatNet(nn.Module):
    """A temporal convolutional network: dilations 1, 2, 4, ... 512 frames, residual, 103,000 parameters.

    Takes (batch, 2 * BANDS, frames) and gives logits (batch, 2, frames) of beat and downbeat.
    """

    def __init__(self, channels: int = CHANNELS, hidden: int = HIDDEN, layers: int = LAYERS) -> None:
        super().__init__()
        self.inp = nn.Conv1d(2 * BANDS, hidden, TAPS, padding=TAPS // 2)
        self.p1 = nn.Conv1d(hidden, channels, 1)
        dilations = [2**i for i in range(layers)]
        self.d = nn.ModuleList(
            nn.Conv1d(channels, channels, TAPS, padding=TAPS // 2 * d, dilation=d) for d in dilations
        )
        self.q = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in dilations)
        self.out = nn.Conv1d(channels, 2, 1)
        self.drop = nn.Dropout1d(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        x = self.p1(self.drop(functional.elu(self.inp(x))))
        for dilated, mix in zip(self.d, self.q, strict=True):
            x = x + mix(self.drop(functional.elu(dilated(x))))
        return self.out(functional.elu(x))


def export(net: BeatNet, path: Path) -> None:
    """Write the parameters as float32 .npz, without pickles; about 400 kB."""
    arrays = {name: value.numpy(force=True).astype(np.float32) for name, value in net.state_dict().items()}
    np.savez_compressed(path, allow_pickle=False, **arrays)


def widen(narrow: BeatNet, channels: int = CHANNELS, hidden: int = HIDDEN) -> BeatNet:
    """Return a network with more units that computes the same: no old unit listens to the new, random ones.

    Chen, Goodfellow and Shlens, "Net2Net: accelerating learning via knowledge transfer", ICLR 2016.
    """
    wide = BeatNet(channels, hidden, len(narrow.d))
    parameters = wide.state_dict()
    for name, old in narrow.state_dict().items():
        rows = slice(0, old.shape[0])
        parameters[name][rows] = 0
        parameters[name][(rows, *(slice(0, n) for n in old.shape[1:]))] = old
    return wide


class MovingAverage:
    """An exponential moving average of a network's parameters: less noisy than its last step."""

    def __init__(self, net: BeatNet, decay: float = AVERAGE_DECAY) -> None:
        self.net = copy.deepcopy(net).eval()
        self._decay = decay

    def update(self, net: BeatNet) -> None:
        with torch.no_grad():
            for mean, now in zip(self.net.parameters(), net.parameters(), strict=True):
                mean.lerp_(now, 1 - self._decay)


def restore(path: Path) -> BeatNet:
    """Return the network of an exported file, in evaluation mode."""
    with np.load(path) as data:
        arrays = {name: torch.from_numpy(data[name]) for name in data.files}
    layers = sum(name.startswith("d.") and name.endswith("weight") for name in arrays)
    hidden, channels = arrays["inp.weight"].shape[0], arrays["p1.weight"].shape[0]
    net = BeatNet(channels, hidden, layers)
    net.load_state_dict(arrays)
    return net.eval()
