"""Runs a network without the rest of the engine, for `--weights`."""

from collections.abc import Callable
from pathlib import Path

from k1_analysis.engine.audio.features import extract
from k1_analysis.engine.beats.rhythm import preview_beats
from k1_analysis.engine.beats.trackers import activation

from .engine import samples_of
from .scores import Estimate
from .trackers import estimate_of


def network_tracker(weights: Path) -> Callable[[Path], Estimate]:
    """Return the network alone, with the decoding and refinement of the engine's preview."""
    net = activation.load_net(weights)

    def track(path: Path) -> Estimate:
        features = extract(samples_of(path))
        return estimate_of(preview_beats(features, net(features.log_bands)))

    return track
