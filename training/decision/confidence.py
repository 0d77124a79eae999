"""Fits the confidences: `python -m training.decision.confidence [--songs N] [--folder FOLDER] [--weights NPZ ...]`.

Prints the weights for `k1_analysis.engine.beats.agreement.confidence`, and tables of what was stated against what came
true by weights from the other songs (cross-validated by song). The songs are those of `training.decision.fit`, whole
and in stretches of 40 s. Songs of the folders have REAL_SHARE of the importance, because they are what matters.
`--weights` are further networks, whose activations give further cases of the songs of the folders.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import logit

from benchmarks.beats.reliability import Cases, reliability
from k1_analysis.engine.beats.agreement.confidence import (
    DOUBTFUL_LEVEL,
    DOUBTFUL_TEMPO,
    BeatWeights,
    TempoWeights,
    TrackWeights,
)
from k1_analysis.engine.beats.trackers.activation import default_net, load_net
from training.decision.cases import Case, cases_of, record
from training.decision.regression import Array, cross_validate, logistic, probability
from training.decision.tracks import add_arguments, annotated_tracks

REAL_SHARE = 0.7
TRACK_PENALTY = 1e-2
BEAT_PENALTY = 1e-3
_EXTREME = 0.02
"""As in the engine: how near to 0 and 1 the track's confidence may be where it is evidence for a beat."""


@dataclass(frozen=True)
class Weights:
    """The weights of the three confidences, each with the constant first."""

    track: Array
    tempo: Array
    beat: Array


@dataclass(frozen=True)
class Stated:
    """The confidences of one case."""

    track: float
    tempo: float
    beats: Array


def importance_of(cases: Sequence[Case]) -> Array:
    """Return (cases,), 1 in all: REAL_SHARE of it for the real ones if there are both kinds."""
    real = np.array([case.real for case in cases])
    if real.all() or not real.any():
        return np.full(len(cases), 1 / len(cases))
    return np.where(real, REAL_SHARE / real.sum(), (1 - REAL_SHARE) / (~real).sum())


def fit(cases: Sequence[Case]) -> Weights:
    """Return the weights that predict the outcomes of the cases best."""
    importance = importance_of(cases)
    track = logistic(
        np.array([case.track_evidence for case in cases]),
        np.array([case.f for case in cases]),
        importance,
        TRACK_PENALTY,
    )
    tempo = logistic(
        np.array([case.tempo_evidence for case in cases]),
        np.array([float(case.tempo_right) for case in cases]),
        importance,
        TRACK_PENALTY,
    )
    beat = logistic(
        np.concatenate([beat_evidence(case, track_confidence(track, case)) for case in cases]),
        np.concatenate([case.hits for case in cases]),
        np.concatenate(
            [
                np.full(len(case.hits), share / len(case.hits))
                for case, share in zip(cases, importance, strict=True)
            ]
        ),
        BEAT_PENALTY,
    )
    return Weights(track, tempo, beat)


def track_confidence(weights: Array, case: Case) -> float:
    """Return the expected F-measure of a case."""
    found = float(probability(weights, np.array([case.track_evidence]))[0])
    return min(found, DOUBTFUL_LEVEL) if case.level_in_doubt else found


def beat_evidence(case: Case, track: float) -> Array:
    """Return (n, 3): the evidence of each beat in the order of `BeatWeights`, without the constant."""
    log_odds = float(logit(np.clip(track, _EXTREME, 1 - _EXTREME)))
    return np.column_stack([np.full(len(case.hits), log_odds), case.members, case.activation])


def state(weights: Weights, case: Case) -> Stated:
    """Return the confidences of a case, as the engine would state them with these weights."""
    track = track_confidence(weights.track, case)
    tempo = float(probability(weights.tempo, np.array([case.tempo_evidence]))[0])
    return Stated(
        track=track,
        tempo=min(tempo, DOUBTFUL_TEMPO) if case.level_in_doubt else tempo,
        beats=probability(weights.beat, beat_evidence(case, track)),
    )


def cross_validated(cases: Sequence[Case]) -> list[Stated]:
    """Return the confidences of each case by weights that were fitted without its song."""
    return cross_validate(cases, [case.song for case in cases], fit, state)


def table(title: str, pairs: Cases) -> list[str]:
    """Return the lines of a reliability table: of each bin, what was stated and what came true; none without cases."""
    found = reliability([stated for stated, _ in pairs], [outcome for _, outcome in pairs])
    if found is None:
        return []
    bins = [f"{each.confidence:.2f}/{each.outcome:.2f} ({each.count})" for each in found.bins]
    return [f"{title}: expected calibration error {found.expected_error:.3f}", "  " + "  ".join(bins)]


def tables(cases: Sequence[Case], stated: Sequence[Stated]) -> list[str]:
    """Return the lines of the tables of real and generated songs, whole and in stretches."""
    lines = ["stated/came true (count) by weights from the other songs"]
    for songs, real in (("real", True), ("generated", False)):
        for length, whole in (("whole", True), ("stretches", False)):
            chosen = [
                (case, said)
                for case, said in zip(cases, stated, strict=True)
                if case.real == real and case.whole == whole
            ]
            beats = [
                (float(confidence), float(hit))
                for case, said in chosen
                for confidence, hit in zip(said.beats, case.hits, strict=True)
            ]
            kind = f"{songs}, {length}"
            lines += table(f"track, {kind}", [(said.track, case.f) for case, said in chosen])
            lines += table(f"tempo, {kind}", [(said.tempo, float(case.tempo_right)) for case, said in chosen])
            lines += table(f"beat, {kind}", beats)
    return lines


def dataclasses_of(weights: Weights) -> tuple[TrackWeights, TempoWeights, BeatWeights]:
    """Return the weights as the engine holds them, rounded to two decimals."""
    track, tempo, beat = (
        [round(value, 2) for value in each.tolist()] for each in (weights.track, weights.tempo, weights.beat)
    )
    return TrackWeights(*track), TempoWeights(*tempo), BeatWeights(*beat)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.decision.confidence", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="further networks, .npz")
    options = parser.parse_args()
    shipped, further = default_net(), [load_net(path) for path in options.weights]
    cases: list[Case] = []
    for track in annotated_tracks(options):
        for recording in record(track, [shipped] if track.generated else [shipped, *further]):
            cases += cases_of(track, recording)
        print(track.name, file=sys.stderr, flush=True)
    print(*dataclasses_of(fit(cases)), sep="\n")
    print(*tables(cases, cross_validated(cases)), sep="\n")


if __name__ == "__main__":
    main()
