"""Scores of one estimate against the truth, by mir_eval's conventions (the first 5 s left out)."""

from dataclasses import dataclass

import mir_eval
import numpy as np
from numpy.typing import NDArray

from .material import Item, Times

MATCH_WINDOW_S = 0.07
TEMPO_TOLERANCE = 0.04
OCTAVES = (1, 2, 3, 1 / 2, 1 / 3)


@dataclass(frozen=True)
class Estimate:
    """What a tracker answered. Times in seconds; None is a question it does not answer."""

    beats: Times
    bpm: float
    downbeats: Times | None = None
    sections: Times | None = None
    key: str | None = None
    metre: str | None = None
    confidence: float | None = None
    """The tracker's own estimate of its F-measure, 0..1."""
    beat_confidence: Times | None = None


@dataclass(frozen=True)
class Scores:
    """One track's scores; None where either side has no answer."""

    f: float
    cemgil: float
    cmlt: float
    amlt: float
    downbeat_f: float | None
    section_f_05: float | None
    section_f_3: float | None
    key: float | None
    """1 for the right key and scale, else 0."""
    metre: float | None
    tempo_1: float
    """1 when the tempo is within 4 %."""
    tempo_2: float
    """The same, with twice, three times, half and a third of it allowed."""
    confidence: float | None
    errors_ms: tuple[float, ...]
    """Signed errors of the estimated beats that match a true one; positive is late."""
    beat_hits: tuple[tuple[float, bool], ...]
    """(confidence, whether a true beat is within 70 ms) of each estimated beat after the first 5 s."""


def score(item: Item, estimate: Estimate) -> Scores:
    """Every score of one track."""
    truth, found = mir_eval.beat.trim_beats(item.beats), mir_eval.beat.trim_beats(np.sort(estimate.beats))
    _, cmlt, _, amlt = mir_eval.beat.continuity(truth, found)
    return Scores(
        f=mir_eval.beat.f_measure(truth, found),
        cemgil=mir_eval.beat.cemgil(truth, found)[0],
        cmlt=cmlt,
        amlt=amlt,
        downbeat_f=_downbeat_f(item, estimate),
        section_f_05=_section_f(item, estimate, 0.5),
        section_f_3=_section_f(item, estimate, 3.0),
        key=None if item.key is None or estimate.key is None else float(_same_key(item.key, estimate.key)),
        metre=None if item.metre is None or estimate.metre is None else float(item.metre == estimate.metre),
        tempo_1=float(_same_tempo(item.bpm, estimate.bpm, (1,))),
        tempo_2=float(_same_tempo(item.bpm, estimate.bpm, OCTAVES)),
        confidence=estimate.confidence,
        errors_ms=tuple(1000 * _matched_errors(truth, found)),
        beat_hits=_beat_hits(truth, estimate),
    )


def _downbeat_f(item: Item, estimate: Estimate) -> float | None:
    if item.downbeats is None or estimate.downbeats is None:
        return None
    truth, found = (mir_eval.beat.trim_beats(x) for x in (item.downbeats, estimate.downbeats))
    return float(mir_eval.beat.f_measure(truth, found))


def _section_f(item: Item, estimate: Estimate, window: float) -> float | None:
    """Boundary F-measure without the song's own start and end, which any answer would hit."""
    if item.sections is None or estimate.sections is None or len(item.sections) < 3:
        return None
    if len(estimate.sections) < 3:
        return 0.0
    truth, found = (np.column_stack([x[:-1], x[1:]]) for x in (item.sections, estimate.sections))
    return float(mir_eval.segment.detection(truth, found, window=window, trim=True)[2])


_FLATS = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#"}


def _same_key(truth: str, found: str) -> bool:
    tonic, _, scale = found.partition(" ")
    return truth == f"{_FLATS.get(tonic, tonic)} {scale}"


def _same_tempo(truth: float, found: float, factors: tuple[float, ...]) -> bool:
    return any(abs(found / (factor * truth) - 1) <= TEMPO_TOLERANCE for factor in factors)


def _nearest_error(truth: Times, found: Times) -> NDArray[np.float64]:
    """Signed distance of each found beat to the nearest true one, in seconds."""
    if not len(truth) or not len(found):
        return np.full(len(found), np.inf)
    return np.array([beat - truth[np.abs(truth - beat).argmin()] for beat in found])


def _matched_errors(truth: Times, found: Times) -> NDArray[np.float64]:
    error = _nearest_error(truth, found)
    return error[np.abs(error) <= MATCH_WINDOW_S]


def _beat_hits(truth: Times, estimate: Estimate) -> tuple[tuple[float, bool], ...]:
    if estimate.beat_confidence is None:
        return ()
    late = estimate.beats >= mir_eval.beat.trim_beats(np.array([0.0, 5.0]))[0]
    hits = np.abs(_nearest_error(truth, estimate.beats[late])) <= MATCH_WINDOW_S
    return tuple((float(c), bool(h)) for c, h in zip(estimate.beat_confidence[late], hits, strict=True))
