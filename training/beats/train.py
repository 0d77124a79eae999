"""Trains the beat network: `python -m training.beats.train --groove FOLDER [--labelled FOLDER]`.

Renders the songs that the cache lacks, trains for a fixed number of steps with fixed seeds, exports the moving average
of the weights. The speed is printed.
"""

import argparse
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from k1_analysis.engine.beats.trackers.activation import network_input
from training.beats.augment import Piece, augment, targets
from training.beats.dataset import Example, all_recipes, default_cache, examples, labelled, supplement
from training.beats.model import BeatNet, MovingAverage, export, restore, widen
from training.beats.songs import STYLES

SEED = 1
BATCH, FRAMES = 6, 2000
CUT = 2700
"""Frames cut from a song before its tempo is changed."""
STEPS = 8000
WARM_UP = 200
PEAK_RATE, LAST_RATE = 1.5e-3, 1e-5
POSITIVE_WEIGHTS = (3.0, 6.0)
"""Beats and downbeats are rare among frames."""
SHORTEST = 4 * 100
REPORT_EVERY, CHECK_EVERY = 100, 2000
SHARES = "first=0.25,new=0.45,played=0.3"
WEAK_STYLES = frozenset({"compound", "compound-sung", "orchestral", "orchestral-game", "legato", "ternary"})
"""Styles on which trainings with the shares above lost against the network that they started from."""


@dataclass(frozen=True)
class Batch:
    """Inputs (B, 164, FRAMES), targets (B, 2, FRAMES) and a mask (B, 2, FRAMES) of known frames."""

    inputs: Tensor
    targets: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Pool:
    """Songs of one kind, and the share of the training that they get."""

    share: float
    songs: Sequence[Example]


def cut(song: Example, rng: np.random.Generator) -> Piece:
    """Return a random excerpt of up to CUT frames."""
    frames = len(song.log_bands)
    start = int(rng.integers(0, max(1, frames - CUT + 1)))
    stop = min(frames, start + CUT)
    inside = (song.beats * 100 >= start) & (song.beats * 100 < stop)
    mask = np.ones(stop - start) if song.mask is None else song.mask[start:stop]
    return Piece(
        song.log_bands[start:stop].astype(np.float32),
        song.beats[inside] - start / 100,
        song.positions[inside],
        mask.astype(np.float32),
    )


def draw_batch(pools: Sequence[Pool], rng: np.random.Generator) -> Batch:
    """Return random songs, each augmented, a random excerpt of each."""
    bands = 2 * pools[0].songs[0].log_bands.shape[1]
    inputs = np.zeros((BATCH, bands, FRAMES), np.float32)
    truth = np.zeros((BATCH, 2, FRAMES), np.float32)
    mask = np.zeros((BATCH, 2, FRAMES), np.float32)
    shares = np.array([pool.share for pool in pools])
    for row, kind in enumerate(rng.choice(len(pools), size=BATCH, p=shares / shares.sum())):
        songs = pools[int(kind)].songs
        song = songs[int(rng.integers(len(songs)))]
        piece = augment(cut(song, rng), rng)
        start = int(rng.integers(0, max(1, len(piece.mask) - FRAMES + 1)))
        part = slice(start, start + FRAMES)
        length = len(piece.mask[part])
        inputs[row, :, :length] = network_input(piece.log_bands)[part].T
        truth[row, :, :length] = targets(piece.beats, piece.positions, len(piece.mask))[part].T
        mask[row, 0, :length] = piece.mask[part]
        mask[row, 1, :length] = piece.mask[part] * song.knows_bars
    return Batch(torch.from_numpy(inputs), torch.from_numpy(truth), torch.from_numpy(mask))


def loss(net: BeatNet, batch: Batch) -> Tensor:
    """Return the weighted cross-entropy per known frame, the sum over beat and downbeat."""
    weights = torch.tensor(POSITIVE_WEIGHTS)[:, None]
    each = functional.binary_cross_entropy_with_logits(
        net(batch.inputs), batch.targets, reduction="none", pos_weight=weights
    )
    return (each * batch.mask).sum() / batch.mask[:, 0].sum().clamp(min=1)


def validation_loss(net: BeatNet, songs: Sequence[Example]) -> float:
    """Return the mean loss over whole, unchanged songs."""
    total = 0.0
    with torch.no_grad():
        for song in songs:
            log_bands = song.log_bands.astype(np.float32)
            wanted = targets(song.beats, song.positions, len(log_bands))
            inputs = torch.from_numpy(network_input(log_bands).T[None].copy())
            known = np.ones(len(log_bands)) if song.mask is None else song.mask
            mask = np.stack([known, known * song.knows_bars])[None].astype(np.float32)
            batch = Batch(inputs, torch.from_numpy(wanted.T[None].copy()), torch.from_numpy(mask))
            total += loss(net, batch).item()
    return total / len(songs)


def learning_rate(step: int, steps: int, peak: float, *, constant: bool) -> float:
    """Return the rate of a step: linear warm-up, then constant or a cosine down to LAST_RATE."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return peak * warm * (1 if constant else 0.5 + 0.5 * float(np.cos(np.pi * step / steps))) + LAST_RATE


def train(pools: Sequence[Pool], validation: Sequence[Example], options: argparse.Namespace) -> BeatNet:
    """Train from random weights, or continue from those of `options.start`, widened; return the moving average.

    The same songs, steps and start give the same network on the same machine.
    """
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    net = (widen(restore(options.start)) if options.start else BeatNet()).train()
    average = MovingAverage(net)
    optimiser = torch.optim.AdamW(net.parameters(), PEAK_RATE, weight_decay=1e-4)
    running, begun = 0.0, time.monotonic()
    for step in range(options.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, options.steps, options.rate, constant=options.constant_rate)
        optimiser.zero_grad()
        now = loss(net, draw_batch(pools, rng))
        now.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        average.update(net)
        running += now.item()
        if (step + 1) % REPORT_EVERY == 0:
            seconds = (time.monotonic() - begun) / (step + 1)
            print(f"step {step + 1}: loss {running / REPORT_EVERY:.4f}, {seconds:.2f} s a step", flush=True)
            running = 0.0
        if (step + 1) % CHECK_EVERY == 0:
            export(average.net, options.out.with_stem(f"{options.out.stem}-{step + 1}"))
            print(f"validation {validation_loss(average.net, validation):.4f}", flush=True)
    return average.net


def pools_of(options: argparse.Namespace) -> list[Pool]:
    """Return the training songs by kind; render what the cache lacks."""
    shares = {kind: float(share) for kind, share in (part.split("=") for part in options.shares.split(","))}
    kinds: dict[str, list[Example]] = {kind: [] for kind in shares}
    recipes = all_recipes(options.groove, "training")[: options.songs]
    recipes += supplement() if options.supplement else []
    for song in examples("training", recipes, options.cache, options.jobs):
        if len(song.log_bands) > SHORTEST:
            kinds[kind_of(song.name, shares)].append(song)
    if options.labelled:
        kinds["labelled"] += labelled(options.labelled)
    pools = [Pool(shares[kind], songs) for kind, songs in kinds.items() if songs]
    for pool in pools:
        minutes = sum(len(e.log_bands) for e in pool.songs) / 6000
        print(f"{len(pool.songs)} songs, {minutes:.0f} minutes, share {pool.share:.2f}", flush=True)
    return pools


def kind_of(name: str, kinds: Collection[str]) -> str:
    """Return the kind of an example by its name; a weak style is its own kind only if `kinds` has `weak`."""
    style = name.rsplit("-", 1)[0]
    if name.startswith("groove-"):
        return "played"
    if "weak" in kinds and style in WEAK_STYLES:
        return "weak"
    return "first" if style in STYLES else "new"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("beat_net.npz"), help="weights file to write")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder for the songs' features")
    parser.add_argument("--groove", type=Path, help="folder of the Groove MIDI Dataset")
    parser.add_argument("--labelled", type=Path, help="folder of examples that another program labelled")
    parser.add_argument(
        "--shares",
        default=SHARES,
        help="how often each kind of song is drawn: first (the styles that the evaluation has too), new (those that only "
        "the training has), weak (see WEAK_STYLES), played (human drumming), labelled",
    )
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rate", type=float, default=PEAK_RATE, help="highest learning rate")
    parser.add_argument("--constant-rate", action="store_true", help="do not lower the learning rate")
    parser.add_argument("--start", type=Path, help="weights file to go on from instead of random weights")
    parser.add_argument("--jobs", type=int, default=1, help="processes that render songs")
    parser.add_argument("--songs", type=int, help="use only the first so many songs")
    parser.add_argument("--supplement", action="store_true", help="add further songs of the weak styles")
    parser.add_argument("--render-only", action="store_true", help="fill the cache and stop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pools = pools_of(options)
    recipes = all_recipes(options.groove, "validation")
    validation = list(examples("validation", recipes, options.cache, options.jobs))
    print(f"{len(validation)} songs for validation", flush=True)
    if not options.render_only:
        export(train(pools, validation, options), options.out)
        print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
