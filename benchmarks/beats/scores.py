"""Scores an estimate against the ground truth by the conventions of mir_eval (without the first 5 s)."""

from dataclasses import dataclass
from itertools import pairwise

import mir_eval
import numpy as np
from numpy.typing import NDArray

from .annotations import Times
from .dataset import AnnotatedTrack
from .readings import ErrorKind, best_of, error_kind, f_any_level, f_measure, halves

MATCH_WINDOW_S = 0.07
TRIMMED_S = 5.0
"""The start of a song that is not scored."""
TEMPO_TOLERANCE = 0.04
OCTAVES = (1, 2, 3, 1 / 2, 1 / 3)


@dataclass(frozen=True)
class Estimate:
    """The output of a tracker. Times are in seconds; None means that the tracker does not estimate it."""

    beats: Times
    bpm: float
    downbeats: Times | None = None
    sections: Times | None = None
    key: str | None = None
    metre: str | None = None
    confidence: float | None = None
    """The tracker's own estimate of its F-measure, 0..1."""
    beat_confidence: Times | None = None
    tempo_confidence: float | None = None
    constant_tempo: bool | None = None
    """Whether the tracker says that the song has one constant tempo."""


@dataclass(frozen=True)
class Scores:
    """The scores of one track; None if truth or estimate is missing."""

    f: float
    f_annotated: float
    """F against the annotated beats; it differs from `f` only where the level is uncertain."""
    f_any: float
    """The best F against the annotated beats, half (either phase) and double."""
    error: ErrorKind | None
    """What is wrong with a song whose F is below .8."""
    constant_tempo: bool | None
    cemgil: float
    cmlt: float
    amlt: float
    downbeat_f: float | None
    section_f_05: float | None
    section_f_3: float | None
    key: float | None
    """1 if key and scale are right, else 0."""
    metre: float | None
    tempo_1: float
    """1 if the tempo is within 4 %."""
    tempo_2: float
    """Like tempo_1, but double, triple, half and third tempo also count."""
    confidence: float | None
    tempo_confidence: float | None
    errors_ms: tuple[float, ...]
    """Signed errors of the estimated beats that match a true beat; positive is late."""
    beat_hits: tuple[tuple[float, bool], ...]
    """(confidence, whether a true beat is within 70 ms) for each estimated beat after the first 5 s."""
    section_hits: tuple[tuple[float, float], ...]
    """(mean confidence of the beats, F inside) for each estimated section after the first 5 s."""


def score(track: AnnotatedTrack, estimate: Estimate) -> Scores:
    """Compute all scores of one track.

    Where the annotated level is uncertain, the scores are those against the best of the annotated beats and every other
    one of them in either phase.
    """
    beats = np.sort(estimate.beats)
    level = (track.beats, *halves(track.beats)) if track.level_uncertain else (track.beats,)
    reference = best_of(level, beats)
    truth, found = mir_eval.beat.trim_beats(reference), mir_eval.beat.trim_beats(beats)
    _, cmlt, _, amlt = mir_eval.beat.continuity(truth, found)
    bpm = float(60 / np.median(np.diff(reference)))
    return Scores(
        f=f_measure(reference, beats),
        f_annotated=f_measure(track.beats, beats),
        f_any=f_any_level(track.beats, beats),
        error=error_kind(reference, beats),
        constant_tempo=estimate.constant_tempo,
        cemgil=mir_eval.beat.cemgil(truth, found)[0],
        cmlt=cmlt,
        amlt=amlt,
        downbeat_f=_downbeat_f(track, estimate),
        section_f_05=_section_f(track, estimate, 0.5),
        section_f_3=_section_f(track, estimate, 3.0),
        key=None if track.key is None or estimate.key is None else float(_same_key(track.key, estimate.key)),
        metre=None if track.metre is None or estimate.metre is None else float(track.metre == estimate.metre),
        tempo_1=float(_same_tempo(bpm, estimate.bpm, (1,))),
        tempo_2=float(_same_tempo(bpm, estimate.bpm, OCTAVES)),
        confidence=estimate.confidence,
        tempo_confidence=estimate.tempo_confidence,
        errors_ms=tuple(1000 * _matched_errors(truth, found)),
        beat_hits=_beat_hits(truth, estimate),
        section_hits=_section_hits(reference, estimate),
    )


def _downbeat_f(track: AnnotatedTrack, estimate: Estimate) -> float | None:
    if track.downbeats is None or estimate.downbeats is None:
        return None
    truth, found = (mir_eval.beat.trim_beats(x) for x in (track.downbeats, estimate.downbeats))
    return float(mir_eval.beat.f_measure(truth, found))


def _section_f(track: AnnotatedTrack, estimate: Estimate, window: float) -> float | None:
    """Return the boundary F-measure without the start and end of the song, which any estimate contains."""
    if track.sections is None or estimate.sections is None or len(track.sections) < 3:
        return None
    if len(estimate.sections) < 3:
        return 0.0
    truth, found = (np.column_stack([x[:-1], x[1:]]) for x in (track.sections, estimate.sections))
    return float(mir_eval.segment.detection(truth, found, window=window, trim=True)[2])


_FLATS = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#"}


def _same_key(truth: str, found: str) -> bool:
    tonic, _, scale = found.partition(" ")
    return truth == f"{_FLATS.get(tonic, tonic)} {scale}"


def _same_tempo(truth: float, found: float, factors: tuple[float, ...]) -> bool:
    return any(abs(found / (factor * truth) - 1) <= TEMPO_TOLERANCE for factor in factors)


def _nearest_error(truth: Times, found: Times) -> NDArray[np.float64]:
    """Return the signed distance of each found beat to the nearest true beat, in seconds."""
    if not len(truth) or not len(found):
        return np.full(len(found), np.inf)
    return np.array([beat - truth[np.abs(truth - beat).argmin()] for beat in found])


def _matched_errors(truth: Times, found: Times) -> NDArray[np.float64]:
    error = _nearest_error(truth, found)
    return error[np.abs(error) <= MATCH_WINDOW_S]


def _beat_hits(truth: Times, estimate: Estimate) -> tuple[tuple[float, bool], ...]:
    if estimate.beat_confidence is None:
        return ()
    late = estimate.beats >= TRIMMED_S
    hits = np.abs(_nearest_error(truth, estimate.beats[late])) <= MATCH_WINDOW_S
    return tuple((float(c), bool(h)) for c, h in zip(estimate.beat_confidence[late], hits, strict=True))


def _section_hits(truth: Times, estimate: Estimate) -> tuple[tuple[float, float], ...]:
    if estimate.beat_confidence is None or estimate.sections is None:
        return ()
    edges = np.maximum(estimate.sections, TRIMMED_S)
    inside = [(estimate.beats >= a) & (estimate.beats < b) for a, b in pairwise(edges)]
    return tuple(
        (
            float(estimate.beat_confidence[beats].mean()),
            float(mir_eval.beat.f_measure(truth[(truth >= a) & (truth < b)], estimate.beats[beats])),
        )
        for beats, (a, b) in zip(inside, pairwise(edges), strict=True)
        if beats.any()
    )
