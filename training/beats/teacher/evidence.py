"""Measures the evidence for one recording: features, activation, the beats of four trackers, the engine's pulse."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from k1_analysis.engine.audio.decoding import decode
from k1_analysis.engine.audio.features import Features, extract
from k1_analysis.engine.audio.framing import SAMPLE_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.levels import find_audible, find_silences
from k1_analysis.engine.audio.tonal import Tonal, TonalExtractor
from k1_analysis.engine.beats.rhythm import find_rhythm, track_members
from k1_analysis.engine.beats.trackers.activation import default_net
from k1_analysis.engine.beats.trackers.essentia import track

LONGEST_S = 60.0
"""A longer recording is cut to its middle."""
SHORTEST_S = 40.0
_BLOCK = 10 * SAMPLE_RATE_HZ


class TooShortError(Exception):
    """The recording is shorter than SHORTEST_S."""


@dataclass(frozen=True)
class Evidence:
    """What is known of one excerpt of T frames, 100 a second."""

    features: Features
    tonal: Tonal
    activation: Floats
    """(T, 2) the network's probabilities of a beat and of a downbeat."""
    trackers: Mapping[str, Seconds]
    """The beats of `net`, `onsets`, `degara` and, if measured, `multifeature`."""
    pulse: Seconds
    """The beats that the engine chose; empty if it found none."""


def measure(samples: Floats) -> Evidence:
    """Return the evidence for mono float32 samples at 44.1 kHz, without the slow tracker `multifeature`."""
    tonal = TonalExtractor()
    for block in _blocks(samples):
        tonal.push(block)
    features, tones = extract(samples), tonal.finish()
    activation = default_net()(features.log_bands)
    duration_s = len(samples) / SAMPLE_RATE_HZ
    rhythm = find_rhythm(
        features,
        tones,
        activation,
        members=track_members(features, activation) | {"degara": track(_blocks(samples), ("degara",)).degara},
        audible=find_audible(find_silences(features.envelopes, duration_s), duration_s),
    )
    return Evidence(features, tones, activation, {**rhythm.committee_result.beats}, rhythm.beats)


def with_multifeature(song: Evidence, samples: Floats) -> Evidence:
    """Return the evidence with the beats of Essentia's slow tracker, which takes as long as all the rest."""
    beats = track(_blocks(samples), ("multifeature",)).multifeature
    return replace(song, trackers={**song.trackers, "multifeature": beats})


def excerpt(path: Path) -> Floats:
    """Return the middle of an audio file, at most LONGEST_S.

    Raises:
        TooShortError: it is shorter than SHORTEST_S.
        EngineError: it cannot be decoded.
    """
    return middle(decode(path).samples)


def middle(samples: Floats) -> Floats:
    """Return at most LONGEST_S from the middle.

    Raises:
        TooShortError: there are fewer than SHORTEST_S.
    """
    if len(samples) < SHORTEST_S * SAMPLE_RATE_HZ:
        raise TooShortError
    length = min(len(samples), int(LONGEST_S * SAMPLE_RATE_HZ))
    first = (len(samples) - length) // 2
    return np.ascontiguousarray(samples[first : first + length])


def _blocks(samples: Floats) -> Iterator[Floats]:
    for first in range(0, len(samples), _BLOCK):
        yield samples[first : first + _BLOCK]
