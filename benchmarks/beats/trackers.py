"""Adapts the compared beat trackers to one interface: a function from a file to an estimate."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from k1_analysis.engine.audio.features import extract
from k1_analysis.engine.beats.rhythm import preview_beats
from k1_analysis.engine.beats.trackers import activation
from k1_analysis.engine.beats.trackers.essentia import load_essentia

from .engine import analyse, samples_of
from .scores import Estimate, Times

Tracker = Callable[[Path], Estimate]
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


def _estimate(beats: Any, bpm: float | None = None) -> Estimate:
    times: Times = np.asarray(beats, float)
    tempo = float(60 / np.median(np.diff(times))) if len(times) > 1 else 0.0
    return Estimate(times, tempo if bpm is None else bpm)


def _rhythm_extractor(method: str) -> Tracker:
    load_essentia()  # disables its log
    # The public import, with all its side effects, as its users have it.
    essentia: Any = importlib.import_module("essentia.standard")
    extractor = essentia.RhythmExtractor2013(method=method)

    def track(path: Path) -> Estimate:
        try:
            bpm, beats, *_ = extractor(samples_of(path))
        except RuntimeError as error:  # Essentia fails on some songs; that counts as no beats
            print(f"{path.name}: RhythmExtractor2013 {method}: {error}", file=sys.stderr)
            return _estimate(())
        return _estimate(beats, float(bpm))

    return track


def _librosa() -> Tracker:
    librosa: Any = importlib.import_module("librosa")

    def track(path: Path) -> Estimate:
        bpm, beats = librosa.beat.beat_track(y=samples_of(path), sr=44_100, units="time")
        return _estimate(beats, float(np.atleast_1d(bpm)[0]))

    return track


def _madmom() -> Tracker:
    beats_module: Any = importlib.import_module("madmom.features.beats")
    network, decoder = beats_module.RNNBeatProcessor(), beats_module.DBNBeatTrackingProcessor(fps=100)
    return lambda path: _estimate(decoder(network(samples_of(path))))


def _net(weights: Path) -> Tracker:
    """Return the network alone, with the decoding and refinement of the engine's preview."""
    net = activation.load_net(weights)

    def track(path: Path) -> Estimate:
        features = extract(samples_of(path))
        return _estimate(preview_beats(features, net(features.log_bands)))

    return track
