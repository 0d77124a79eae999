"""Fits the weights of phase and level: `python -m training.decision.fit [--songs N] [--folder FOLDER]`.

Prints the weights for `k1_analysis.engine.beats.decision.cues`, and how many songs they decide rightly. The songs are
generated ones of the evaluation split and those of annotated folders. Songs of the folders count REAL_WEIGHT times,
because there are few of them and they are what matters. Ends with the share that weights from all but a sixth of the
songs decide rightly on that sixth.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from benchmarks.beats.dataset import annotated_folder, default_cache, generated_songs
from k1_analysis.engine.beats.decision.cues import PulseCues
from training.beats.songs import STYLES
from training.decision.examples import (
    LevelExample,
    PhaseExample,
    audible_beats,
    level_example,
    phase_example,
    song_evidence,
)

REAL_WEIGHT = 4.0
PENALTY = 2e-3
FOLDS = 6
SECONDS = 110.0
PHASE_NAMES = ("activation", "bars", "kick", "onsets")
LEVEL_NAMES = ("octaves", "octaves_squared", "activation", "bars", "onsets")

Array = NDArray[np.float64]


def phase_row(cues: PulseCues) -> list[float]:
    """Return the cues in the order of PHASE_NAMES."""
    return [cues.activation, cues.bars, cues.kick, cues.onsets]


def level_row(cues: PulseCues) -> list[float]:
    """Return the cues in the order of LEVEL_NAMES."""
    return [cues.octaves, cues.octaves**2, cues.activation, cues.bars, cues.onsets]


def fit(margins: Sequence[Array], importance: Array) -> Array:
    """Return the weights that make the right reading of each song the likeliest (multinomial, L2 penalty).

    Args:
        margins: of each song, (other readings, cues): the cues of the right reading less those of each other.
        importance: (songs,)
    """
    spread = np.concatenate(margins).std(axis=0) + 1e-9
    scaled = [each / spread for each in margins]
    share = importance / importance.sum()

    def loss(weights: Array) -> float:
        songs = [float(logsumexp(np.append(-(each @ weights), 0.0))) for each in scaled]
        return float(share @ np.array(songs) + PENALTY * weights @ weights)

    found = minimize(loss, np.zeros(len(spread)), method="L-BFGS-B")
    return np.asarray(found.x / spread, np.float64)


def right_share(weights: Array, margins: Sequence[Array]) -> float:
    """Return the share of the songs whose right reading has the highest score."""
    return float(np.mean([bool((each @ weights > 0).all()) for each in margins]))


def cross_validated(margins: Sequence[Array], importance: Array) -> float:
    """Return the share of the songs that weights from the other folds decide rightly."""
    fold = np.random.default_rng(2).permutation(len(margins)) % FOLDS
    right = 0.0
    for number in range(FOLDS):
        held_out = [each for each, at in zip(margins, fold, strict=True) if at == number]
        rest = [each for each, at in zip(margins, fold, strict=True) if at != number]
        right += right_share(fit(rest, importance[fold != number]), held_out) * len(held_out)
    return right / len(margins)


def report(names: Sequence[str], margins: Sequence[Array], real: Array) -> None:
    """Print the weights and the shares."""
    importance = np.where(real, REAL_WEIGHT, 1.0)
    weights = fit(margins, importance)
    print(", ".join(f"{name}: {weight:.2f}" for name, weight in zip(names, weights, strict=True)))
    print(
        f"right: {right_share(weights, margins):.3f} of {len(margins)} songs, "
        f"{cross_validated(margins, importance):.3f} cross-validated"
    )


def phase_margins(examples: Sequence[PhaseExample]) -> list[Array]:
    """Return the margins of each song for `fit`."""
    return [np.array([phase_row(each.right)]) - phase_row(each.wrong) for each in examples]


def level_margins(examples: Sequence[LevelExample]) -> list[Array]:
    """Return the margins of each song for `fit`."""
    return [np.array(level_row(each.right)) - [level_row(other) for other in each.wrong] for each in examples]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.decision.fit", description=__doc__)
    parser.add_argument("--songs", type=int, default=12, help="generated songs per style")
    parser.add_argument(
        "--folder", type=Path, action="append", default=[], help="annotated songs; repeatable"
    )
    options = parser.parse_args()
    tracks = [
        (each, False) for each in generated_songs(list(STYLES), options.songs, SECONDS, default_cache())
    ]
    tracks += [(each, True) for folder in options.folder for each in annotated_folder(folder)]
    phases: list[tuple[PhaseExample, bool]] = []
    levels: list[tuple[LevelExample, bool]] = []
    for track, real in tracks:
        song = song_evidence(track.path)
        beats = audible_beats(track.beats, song)
        if (phase := phase_example(track.name, beats, song)) is not None:
            phases.append((phase, real))
        if not track.level_uncertain and (level := level_example(track.name, beats, song)) is not None:
            levels.append((level, real))
        print(track.name, file=sys.stderr, flush=True)
    for title, names, margins, flags in (
        ("phase", PHASE_NAMES, phase_margins([each for each, _ in phases]), [real for _, real in phases]),
        ("level", LEVEL_NAMES, level_margins([each for each, _ in levels]), [real for _, real in levels]),
    ):
        print(title)
        report(names, margins, np.array(flags))


if __name__ == "__main__":
    main()
