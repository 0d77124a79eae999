"""Trains the beat network on generated songs: `python -m training.beats.train`.

Renders the songs that the cache lacks, trains for a fixed number of steps with fixed seeds, exports the weights.
Time: about 5 minutes of one core for the songs, then the steps, at the speed that is printed.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from k1_analysis.engine.beats.trackers.activation import network_input
from training.beats.augment import augment, targets
from training.beats.dataset import Example, default_cache, examples, plan
from training.beats.model import BeatNet, blend, export, restore

SEED = 1
BATCH, FRAMES = 6, 2000
STEPS = 4000
WARM_UP = 200
PEAK_RATE, CONTINUED_RATE, LAST_RATE = 2.5e-3, 8e-4, 1e-5
CONTINUED_SHARE = 0.7
"""Share of the continued training in the result; the rest is the start."""
POSITIVE_WEIGHTS = (3.0, 6.0)
"""Beats and downbeats are rare among frames."""
SHORTEST = 4 * 100
REPORT_EVERY = 100


@dataclass(frozen=True)
class Batch:
    """Inputs (B, 164, FRAMES), targets (B, 2, FRAMES) and a mask (B, 1, FRAMES) of real frames."""

    inputs: Tensor
    targets: Tensor
    mask: Tensor


def draw_batch(songs: list[Example], rng: np.random.Generator) -> Batch:
    """Return random songs, each augmented, a random excerpt of each."""
    bands = 2 * songs[0].log_bands.shape[1]
    inputs = np.zeros((BATCH, bands, FRAMES), np.float32)
    truth = np.zeros((BATCH, 2, FRAMES), np.float32)
    mask = np.zeros((BATCH, 1, FRAMES), np.float32)
    for row, index in enumerate(rng.integers(len(songs), size=BATCH)):
        song = songs[int(index)]
        log_bands, beats = augment(song.log_bands.astype(np.float32), song.beats, rng)
        wanted = targets(beats, song.positions, len(log_bands))
        start = int(rng.integers(0, max(1, len(log_bands) - FRAMES + 1)))
        excerpt = network_input(log_bands)[start : start + FRAMES]
        inputs[row, :, : len(excerpt)] = excerpt.T
        truth[row, :, : len(excerpt)] = wanted[start : start + FRAMES].T
        mask[row, :, : len(excerpt)] = 1
    return Batch(torch.from_numpy(inputs), torch.from_numpy(truth), torch.from_numpy(mask))


def loss(net: BeatNet, batch: Batch) -> Tensor:
    """Return the weighted cross-entropy per real frame."""
    weights = torch.tensor(POSITIVE_WEIGHTS)[:, None]
    each = functional.binary_cross_entropy_with_logits(
        net(batch.inputs), batch.targets, reduction="none", pos_weight=weights
    )
    return (each * batch.mask).sum() / batch.mask.sum()


def validation_loss(net: BeatNet, songs: list[Example]) -> float:
    """Return the mean loss over whole, unchanged songs."""
    net.eval()
    total = 0.0
    with torch.no_grad():
        for song in songs:
            log_bands = song.log_bands.astype(np.float32)
            wanted = targets(song.beats, song.positions, len(log_bands))
            inputs = torch.from_numpy(network_input(log_bands).T[None].copy())
            mask = torch.ones(1, 1, len(log_bands))
            total += loss(net, Batch(inputs, torch.from_numpy(wanted.T[None].copy()), mask)).item()
    net.train()
    return total / len(songs)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return the rate of a step: linear warm-up, then a cosine down to LAST_RATE."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return peak * warm * (0.5 + 0.5 * float(np.cos(np.pi * step / steps))) + LAST_RATE


def train(songs: list[Example], validation: list[Example], steps: int, start: Path | None = None) -> BeatNet:
    """Train from random weights, or continue from those of `start` at a lower rate and blend the two.

    The same songs, steps and start give the same network on the same machine.
    """
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    net = restore(start).train() if start else BeatNet()
    peak = CONTINUED_RATE if start else PEAK_RATE
    optimiser = torch.optim.AdamW(net.parameters(), PEAK_RATE, weight_decay=1e-4)
    running, begun = 0.0, time.monotonic()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, peak)
        optimiser.zero_grad()
        now = loss(net, draw_batch(songs, rng))
        now.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        running += now.item()
        if (step + 1) % REPORT_EVERY == 0:
            seconds = (time.monotonic() - begun) / (step + 1)
            held_out = f", validation {validation_loss(net, validation):.4f}" if (step + 1) % 500 == 0 else ""
            print(
                f"step {step + 1}: loss {running / REPORT_EVERY:.4f}{held_out}, {seconds:.2f} s a step",
                flush=True,
            )
            running = 0.0
    return blend(net, restore(start), CONTINUED_SHARE) if start else net.eval()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("beat_net.npz"), help="weights file to write")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder for the songs' features")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--start", type=Path, help="weights file to go on from instead of random weights")
    parser.add_argument("--songs", type=int, help="use only the first so many songs (for a trial)")
    parser.add_argument("--render-only", action="store_true", help="fill the cache and stop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    songs = [
        e
        for e in examples("training", plan("training")[: options.songs], options.cache)
        if len(e.log_bands) > SHORTEST
    ]
    validation = list(examples("validation", plan("validation")[: options.songs], options.cache))
    minutes = sum(len(e.log_bands) for e in songs) / 6000
    print(f"{len(songs)} songs, {minutes:.0f} minutes; {len(validation)} for validation", flush=True)
    if not options.render_only:
        export(train(songs, validation, options.steps, options.start), options.out)
        print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
