"""Fits the weights of phase and level: `python -m training.decision.fit [--songs N] [--folder FOLDER]`.

Prints the weights for `k1_analysis.engine.beats.decision.cues`, and how many songs they decide rightly. The songs are
generated ones of the evaluation split and those of annotated folders. Songs of the folders count REAL_WEIGHT times,
because there are few of them and they are what matters. Ends with the share that weights from all but a sixth of the
songs decide rightly on that sixth.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from k1_analysis.engine.beats.decision.cues import PulseCues
from training.decision.examples import (
    LevelExample,
    PhaseExample,
    audible_beats,
    level_example,
    phase_example,
    song_evidence,
)
from training.decision.regression import Array, cross_validate, multinomial
from training.decision.tracks import add_arguments, annotated_tracks

REAL_WEIGHT = 4.0
PENALTY = 2e-3
PHASE_NAMES = ("activation", "bars", "kick", "onsets")
LEVEL_NAMES = ("octaves", "octaves_squared", "activation", "bars", "onsets")


def phase_row(cues: PulseCues) -> list[float]:
    """Return the cues in the order of PHASE_NAMES."""
    return [cues.activation, cues.phase_bars, cues.kick, cues.onsets]


def level_row(cues: PulseCues) -> list[float]:
    """Return the cues in the order of LEVEL_NAMES."""
    return [cues.octaves, cues.octaves**2, cues.activation, cues.bars, cues.onsets]


@dataclass(frozen=True)
class Song:
    """The margins of one song: (other readings, cues), the cues of the right reading less those of each other."""

    name: str
    real: bool
    margins: Array


def fit(songs: Sequence[Song]) -> Array:
    """Return the weights that make the right reading of each song the likeliest."""
    importance = np.array([REAL_WEIGHT if song.real else 1.0 for song in songs])
    return multinomial([song.margins for song in songs], importance, PENALTY)


def decides_rightly(weights: Array, song: Song) -> bool:
    """Return whether the right reading of the song has the highest score."""
    return bool((song.margins @ weights > 0).all())


def report(names: Sequence[str], songs: Sequence[Song]) -> None:
    """Print the weights, and the shares of the songs that they decide rightly."""
    weights = fit(songs)
    right = [decides_rightly(weights, song) for song in songs]
    held_out = cross_validate(songs, [song.name for song in songs], fit, decides_rightly)
    print(", ".join(f"{name}: {weight:.2f}" for name, weight in zip(names, weights, strict=True)))
    print(f"right: {np.mean(right):.3f} of {len(songs)} songs, {np.mean(held_out):.3f} cross-validated")


def phase_margins(example: PhaseExample) -> Array:
    """Return the (1, cues) margins of a song."""
    return np.array([phase_row(example.right)]) - phase_row(example.wrong)


def level_margins(example: LevelExample) -> Array:
    """Return the (other levels, cues) margins of a song."""
    return np.array(level_row(example.right)) - [level_row(other) for other in example.wrong]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.decision.fit", description=__doc__)
    add_arguments(parser)
    phases: list[Song] = []
    levels: list[Song] = []
    for track in annotated_tracks(parser.parse_args()):
        name, real = track.name, not track.generated
        evidence = song_evidence(track.path)
        beats = audible_beats(track.beats, evidence)
        if (phase := phase_example(name, beats, evidence)) is not None:
            phases.append(Song(name, real, phase_margins(phase)))
        if not track.level_uncertain and (level := level_example(name, beats, evidence)) is not None:
            levels.append(Song(name, real, level_margins(level)))
        print(name, file=sys.stderr, flush=True)
    for title, names, songs in (("phase", PHASE_NAMES, phases), ("level", LEVEL_NAMES, levels)):
        print(title)
        report(names, songs)


if __name__ == "__main__":
    main()
