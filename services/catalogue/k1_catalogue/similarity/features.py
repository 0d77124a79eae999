"""Computes the feature vector of a song from its Genesis map: what "sounds similar" means here. Pure.

Each feature belongs to a group. A feature is standardised with the mean and the deviation of a corpus and limited to
three deviations; the features of a group are then scaled so that the weight of a group does not depend on how many features
it has. So the Euclidean distance of two vectors is comparable over all pairs, and splits into one part for each group.
docs/similar-songs.md lists the features and how they were checked.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from k1_catalogue.similarity.corpus import CORPUS
from k1_contracts.genesis import GenesisMap, IntensityPoint, ValuePoint
from k1_contracts.messages.catalogue.similar import FeatureGroup

Vector = NDArray[np.float32]
VERSION: Final = 1
"""Of the features and the corpus; vectors of another version are not comparable."""
_LIMIT: Final = 3.0
"""Deviations. One odd feature must not outweigh a whole group."""
_PITCHES: Final = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_FIFTH: Final = 7
"""Semitones; multiplying by it orders the pitches along the circle of fifths."""
_MINUTE_MS: Final = 60_000.0


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of the vector."""

    name: str
    group: FeatureGroup


def _names(group: FeatureGroup, *names: str) -> tuple[Feature, ...]:
    return tuple(Feature(name, group) for name in names)


FEATURES: Final = (
    *_names("tempo", "tempo_cos", "tempo_sin", "tempo_log"),
    *_names(
        "rhythm",
        "tempo_stability",
        "danceability",
        "beat_strength",
        "beat_strength_deviation",
        "beat_contrast",
    ),
    *_names("harmony", "key_cos", "key_sin", "minor", "key_strength", *(f"degree_{n}" for n in range(12))),
    *_names("timbre", "bass", "mids", "highs", "bass_deviation", "mids_deviation", "highs_deviation"),
    *_names("timbre", "centroid", "centroid_deviation", "flux", "flux_deviation", "flatness", "rolloff"),
    *_names("dynamics", "loudness", "loudness_range", "dynamic_range", "rms_deviation", "silence", "drops"),
)
DIMENSIONS: Final = len(FEATURES)
GROUPS: Final[tuple[FeatureGroup, ...]] = tuple(dict.fromkeys(feature.group for feature in FEATURES))
_WEIGHTS: Final[dict[FeatureGroup, float]] = {
    "tempo": 1.0,
    "rhythm": 1.0,
    "harmony": 0.7,
    "timbre": 1.4,
    "dynamics": 1.0,
}
"""Chosen on the corpus by how often the five nearest songs have the same style: .39; .35 with equal weights."""
_SIZES: Final = {group: sum(feature.group == group for feature in FEATURES) for group in GROUPS}
_CENTRE: Final = np.array([CORPUS[feature.name][0] for feature in FEATURES])
_FACTOR: Final = np.array(
    [_WEIGHTS[feature.group] / math.sqrt(_SIZES[feature.group]) for feature in FEATURES]
)
_SCALE: Final = np.array([CORPUS[feature.name][1] for feature in FEATURES])


def feature_vector(genesis: GenesisMap) -> Vector:
    """Return the vector of a song: DIMENSIONS float32 values, finite for every map."""
    raw = raw_features(genesis)
    values = np.array([raw[feature.name] for feature in FEATURES])
    standardised = np.nan_to_num(np.clip((values - _CENTRE) / _SCALE, -_LIMIT, _LIMIT))
    return (standardised * _FACTOR).astype(np.float32)


def group_distances(one: Vector, other: Vector) -> dict[FeatureGroup, float]:
    """Return the distance in each group; their squares add up to the square of the whole distance."""
    squares = (one.astype(np.float64) - other) ** 2
    groups = np.array([feature.group for feature in FEATURES])
    return {group: float(math.sqrt(squares[groups == group].sum())) for group in GROUPS}


def raw_features(genesis: GenesisMap) -> dict[str, float]:
    """Return each feature before it is standardised; nan where the song has none, for example no key in silence."""
    return {
        **_tempo(genesis.global_metrics.bpm),
        **_rhythm(genesis),
        **_harmony(genesis),
        **_timbre(genesis),
        **_dynamics(genesis),
    }


def _tempo(bpm: float) -> dict[str, float]:
    """Return the tempo as an angle, so that half and double tempo are near, and a little of its height."""
    if bpm <= 0:
        return dict.fromkeys(("tempo_cos", "tempo_sin", "tempo_log"), math.nan)
    octaves = math.log2(bpm)
    angle = 2 * math.pi * octaves
    return {"tempo_cos": math.cos(angle), "tempo_sin": math.sin(angle), "tempo_log": octaves}


def _rhythm(genesis: GenesisMap) -> dict[str, float]:
    rhythm, metrics = genesis.layers.rhythm, genesis.global_metrics
    downbeats = set(rhythm.downbeat_ms)
    strengths = np.array(rhythm.beat_strength)
    first = np.array([beat in downbeats for beat in rhythm.beat_grid_ms], dtype=bool)
    return {
        "tempo_stability": metrics.tempo_stability,
        "danceability": metrics.danceability,
        "beat_strength": _mean(strengths),
        "beat_strength_deviation": _deviation(strengths),
        "beat_contrast": _mean(strengths[first]) - _mean(strengths[~first]),
    }


def _harmony(genesis: GenesisMap) -> dict[str, float]:
    """Return the key on the circle of fifths, the mode, and how much each degree above the key's root sounds."""
    metrics = genesis.global_metrics
    root = _PITCHES.index(metrics.key) if metrics.key in _PITCHES else None
    angle = 2 * math.pi * (root * _FIFTH % 12) / 12 if root is not None else math.nan
    chroma = np.array(genesis.layers.spectral.chroma)
    means = chroma.mean(axis=1) if chroma.size else np.full(12, math.nan)
    degrees = np.roll(means, -(root or 0))
    return {
        "key_cos": math.cos(angle) * metrics.key_strength,
        "key_sin": math.sin(angle) * metrics.key_strength,
        "minor": metrics.key_strength * (1.0 if metrics.scale == "minor" else -1.0),
        "key_strength": metrics.key_strength,
        **{f"degree_{degree}": float(value) for degree, value in enumerate(degrees)},
    }


def _timbre(genesis: GenesisMap) -> dict[str, float]:
    layers = genesis.layers
    bands = {name: _values(getattr(layers.frequency, name)) for name in ("bass", "mids", "highs")}
    centroid, flux = _values(layers.spectral.centroid), _values(layers.spectral.flux)
    return {
        **{name: _mean(values) for name, values in bands.items()},
        **{f"{name}_deviation": _deviation(values) for name, values in bands.items()},
        "centroid": _mean(_log(centroid)),
        "centroid_deviation": _deviation(_log(centroid)),
        "flux": _mean(_log(flux)),
        "flux_deviation": _deviation(_log(flux)),
        "flatness": _mean(_log(_values(layers.spectral.flatness))),
        "rolloff": _mean(_log(_values(layers.spectral.rolloff))),
    }


def _dynamics(genesis: GenesisMap) -> dict[str, float]:
    metrics, annotations = genesis.global_metrics, genesis.layers.annotations
    silent = sum(span.end_ms - span.start_ms for span in annotations.silence)
    loudness = metrics.integrated_lufs
    return {
        "loudness": math.nan if loudness is None else loudness,
        "loudness_range": metrics.loudness_range_lu,
        "dynamic_range": metrics.dynamic_range,
        "rms_deviation": _deviation(_values(genesis.layers.dynamics.rms)),
        "silence": silent / metrics.duration_ms,
        "drops": len(annotations.drops) / metrics.duration_ms * _MINUTE_MS,
    }


def _values(points: Sequence[IntensityPoint] | Sequence[ValuePoint]) -> NDArray[np.float64]:
    return np.array([p.intensity if isinstance(p, IntensityPoint) else p.value for p in points])


def _log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return logarithms of the positive values; silence has no spectrum."""
    return np.log(values[values > 0])


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else math.nan


def _deviation(values: NDArray[np.float64]) -> float:
    return float(values.std()) if values.size else math.nan
