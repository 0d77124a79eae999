"""The network in PyTorch, with the parameter names and shapes of the engine's `beats.trackers.activation`."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

BANDS = 82
HIDDEN, CHANNELS, LAYERS, TAPS = 32, 24, 10, 5
DROPOUT = 0.1


class BeatNet(nn.Module):
    """A temporal convolutional network: dilations 1, 2, 4, ... 512 frames, residual, 62,000 parameters.

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
    """Write the parameters as float32 .npz, without pickles; about 240 kB."""
    arrays = {name: value.numpy(force=True).astype(np.float32) for name, value in net.state_dict().items()}
    np.savez_compressed(path, allow_pickle=False, **arrays)


def blend(trained: BeatNet, start: BeatNet, share: float) -> BeatNet:
    """Return the weighted mean of two networks' parameters, `share` of the first.

    Between a network and its own continuation this keeps what the start learned beyond the new songs (Wortsman et
    al., "Robust fine-tuning of zero-shot models", CVPR 2022).
    """
    first, second = trained.state_dict(), start.state_dict()
    mixed = BeatNet(trained.p1.out_channels, trained.inp.out_channels, len(trained.d))
    mixed.load_state_dict({name: share * first[name] + (1 - share) * second[name] for name in first})
    return mixed.eval()


def restore(path: Path) -> BeatNet:
    """Return the network of an exported file, in evaluation mode."""
    with np.load(path) as data:
        arrays = {name: torch.from_numpy(data[name]) for name in data.files}
    layers = sum(name.startswith("d.") and name.endswith("weight") for name in arrays)
    hidden, channels = arrays["inp.weight"].shape[0], arrays["p1.weight"].shape[0]
    net = BeatNet(channels, hidden, layers)
    net.load_state_dict(arrays)
    return net.eval()
