"""Adapts the analysis engine to the benchmark: analyses a file and takes the estimate from its Genesis map."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from k1_analysis.engine import analyse_file
from k1_analysis.engine.audio.decoding import decode
from k1_analysis.engine.audio.framing import Floats
from k1_contracts.genesis import GenesisMap

from .annotations import Times
from .scores import Estimate


@lru_cache(maxsize=2)
def samples_of(path: Path) -> Floats:
    """Decode a file with the engine to mono float32 at 44.1 kHz, so that all trackers get the same samples."""
    return decode(path).samples


def analyse(path: Path) -> Estimate:
    """Analyse a file without a preset, as a first upload is."""
    return from_map(analyse_file(path, filename=path.name).genesis)


def from_map(genesis: GenesisMap) -> Estimate:
    """Convert a Genesis map to an estimate."""
    rhythm, overall = genesis.layers.rhythm, genesis.global_metrics
    sections = genesis.layers.annotations.sections
    confidence = rhythm.beat_confidence
    return Estimate(
        beats=_seconds(rhythm.beat_grid_ms),
        bpm=overall.bpm,
        downbeats=_seconds(rhythm.downbeat_ms),
        sections=_seconds([s.start_ms for s in sections] + [s.end_ms for s in sections[-1:]]),
        key=f"{overall.key} {overall.scale}",
        metre=overall.time_signature,
        confidence=overall.confidence,
        beat_confidence=None if confidence is None else np.array(confidence),
        tempo_confidence=overall.tempo_confidence,
        # Maps of the first versions do not have it.
        constant_tempo=getattr(overall, "constant_tempo", None),
    )


def _seconds(milliseconds: Sequence[float]) -> Times:
    return np.array(milliseconds, float) / 1000
