"""Essentia's beat trackers and key finder, window by window and behind guards.

Degara: Degara et al., "Reliability-informed beat tracking of musical signals", TASLP 2012. Multifeature:
Zapata, Davies and Gomez, "Multi-feature beat tracking", TASLP 2014. A window at a time keeps the memory of
the second tracker (35 MB a minute) from growing with the song.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from k1_analysis.engine.framing import SAMPLE_RATE_HZ, Floats, Seconds

BIAS_S = 0.008
"""Both trackers report beats this late on average (78 annotated tracks)."""
KEY_PROFILE = "edma"
WINDOW_S = 60.0
OVERLAP_S = 15.0
SHORTEST_S = 5.0
"""Below this the trackers have nothing to work on and may raise."""
QUIETEST = 1e-4
"""Peak below which a window counts as silence: Essentia returns nonsense there."""


@dataclass(frozen=True, slots=True)
class Key:
    """A tonic, `major` or `minor`, and how well the profile fits, 0..1."""

    tonic: str
    scale: str
    strength: float


@dataclass(frozen=True, slots=True)
class TrackerResults:
    """What Essentia found in a song. Beat times in seconds."""

    degara: Seconds
    multifeature: Seconds
    key: Key | None
    danceability: float
    """Detrended fluctuation (Streich and Herrera, AES 2005): 0 to about 3, higher is steadier."""


@dataclass(frozen=True, slots=True)
class _Window:
    samples: Floats
    start_s: float
    keep_from_s: float
    keep_to_s: float


def load_essentia() -> Any:
    """`essentia.standard` with its console output turned off."""
    essentia = importlib.import_module("essentia")
    essentia.log.infoActive = False
    essentia.log.warningActive = False
    return importlib.import_module("essentia.standard")


def track(blocks: Iterable[Floats]) -> TrackerResults:
    """Both trackers and the key on a stream of mono blocks at 44.1 kHz (finite)."""
    essentia = load_essentia()
    degara = essentia.BeatTrackerDegara()
    multifeature = essentia.BeatTrackerMultiFeature()
    beats: tuple[list[Seconds], list[Seconds]] = ([], [])
    keys: dict[tuple[str, str], float] = {}
    danceability = heard_s = 0.0
    for window in _windows(blocks):
        if not _usable(window.samples):
            continue
        beats[0].append(_beats(degara, window))
        beats[1].append(_beats(lambda samples: multifeature(samples)[0], window))
        tonic, scale, strength = essentia.KeyExtractor(profileType=KEY_PROFILE)(window.samples)
        span_s = window.keep_to_s - window.keep_from_s
        keys[tonic, scale] = keys.get((tonic, scale), 0.0) + float(strength) * span_s
        danceability += float(essentia.Danceability()(window.samples)[0]) * span_s
        heard_s += span_s
    return TrackerResults(
        degara=_joined(beats[0]),
        multifeature=_joined(beats[1]),
        key=_strongest(keys, heard_s),
        danceability=danceability / heard_s if heard_s else 0.0,
    )


def _strongest(keys: dict[tuple[str, str], float], heard_s: float) -> Key | None:
    if not keys:
        return None
    (tonic, scale), weight = max(keys.items(), key=lambda item: item[1])
    return Key(tonic, scale, float(np.clip(weight / heard_s, 0, 1)))


def _beats(tracker: Callable[[Floats], Floats], window: _Window) -> Seconds:
    times = np.asarray(tracker(window.samples), np.float64) + window.start_s - BIAS_S
    return times[(times >= window.keep_from_s) & (times < window.keep_to_s)]


def _usable(samples: Floats) -> bool:
    return len(samples) >= SHORTEST_S * SAMPLE_RATE_HZ and float(np.abs(samples).max()) > QUIETEST


def _joined(parts: list[Seconds]) -> Seconds:
    """One rising sequence; of two beats that the seam brought closer than 0.15 s the earlier stays."""
    beats = np.concatenate([*parts, np.empty(0)])
    return beats[np.diff(beats, prepend=-np.inf) > 0.15]  # noqa: PLR2004  400 BPM


def _windows(blocks: Iterable[Floats]) -> Iterator[_Window]:
    """Overlapping windows; each keeps what lies nearer to its own middle than to its neighbour's."""
    size, overlap = int(WINDOW_S * SAMPLE_RATE_HZ), int(OVERLAP_S * SAMPLE_RATE_HZ)
    margin_s = OVERLAP_S / 2
    pending: list[Floats] = []
    held, start = 0, 0
    for block in blocks:
        pending.append(block)
        held += len(block)
        # Waiting for more than a window keeps the last one from being a useless remainder.
        if held < size + 2 * overlap:
            continue
        joined = np.concatenate(pending)
        yield _window(joined[:size], start, margin_s, margin_s)
        pending = [joined[size - overlap :].copy()]
        held, start = len(pending[0]), start + size - overlap
    if held:
        yield _window(np.concatenate(pending), start, margin_s, 0.0)


def _window(samples: Floats, start: int, lead_s: float, tail_s: float) -> _Window:
    start_s = start / SAMPLE_RATE_HZ
    end_s = start_s + len(samples) / SAMPLE_RATE_HZ
    return _Window(samples, start_s, start_s + lead_s if start else 0.0, end_s - tail_s)
