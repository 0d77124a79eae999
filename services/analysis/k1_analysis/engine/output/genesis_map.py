"""Genesis map v4 from an engine's findings: rounding, envelopes and the canonical hash."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import rfc8785

from k1_analysis.engine.audio.decoding import DecodingReport
from k1_analysis.engine.audio.features import Envelopes
from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.audio.levels import dynamic_range_db, loudest_moments
from k1_analysis.engine.audio.loudness import SHORT_TERM_S, Loudness
from k1_analysis.engine.audio.tonal import PITCH_CLASSES
from k1_analysis.engine.beats.alternatives import Alternative
from k1_analysis.engine.beats.rhythm import Rhythm
from k1_analysis.engine.beats.tempo import tempo
from k1_analysis.engine.errors import MapWarning
from k1_analysis.engine.presets import Preset
from k1_analysis.engine.structure.key import Key
from k1_analysis.engine.structure.sections import Section
from k1_contracts.genesis import ENVELOPE_RATE_HZ, LOUDNESS_RATE_HZ

MAP_VERSION = "4.0.0"
_HIGHEST_BPM, _HIGHEST_ALTERNATIVE_BPM = 300.0, 600.0
_ENVELOPE_PERCENTILE = 99.5
_QUIETEST_REFERENCE = 1e-4

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MapInputs:
    """Everything from which a map is built."""

    filename: str
    audio_sha256: str
    timestamp_utc: str
    engine: str
    config: JsonObject
    preset: Preset | None
    decoded: DecodingReport
    decoder: tuple[str, str]
    envelopes: Envelopes
    loudness: Loudness
    rhythm: Rhythm
    chroma: Floats
    """(beats, 12) mean chroma of each beat."""
    key: Key | None
    danceability: float
    sections: list[Section]
    silences: list[tuple[float, float]]
    warnings: list[MapWarning]


def build_map(inputs: MapInputs) -> bytes:
    """Return the map as canonical JSON (RFC 8785) with `hashes.map_sha256` set."""
    body = {
        "global_metrics": _global_metrics(inputs),
        "layers": {
            "rhythm": _rhythm(inputs.rhythm),
            "frequency": _frequency(inputs.envelopes, inputs.preset),
            "dynamics": _dynamics(inputs),
            "spectral": _spectral(inputs),
            "annotations": _annotations(inputs),
        },
    }
    return with_map_hash({"metadata": _metadata(inputs), **body})


def with_map_hash(genesis: JsonObject) -> bytes:
    """Return the canonical JSON of a map with `map_sha256` set.

    The hash covers everything except `metadata.timestamp_utc` and itself.
    """
    parts = {name: rfc8785.dumps(value) for name, value in genesis.items() if name != "metadata"}
    return join_with_hash(genesis["metadata"], parts)


def join_with_hash(metadata: JsonObject, parts: dict[str, bytes]) -> bytes:
    """Return the map from its metadata and the canonical forms of its other members, with `map_sha256` set.

    The layers are nearly all of the document, so their canonical form is made once and used twice.
    """
    sealed = metadata | {"hashes": metadata["hashes"] | {"map_sha256": map_hash(metadata, parts)}}
    return canonical_object(parts | {"metadata": rfc8785.dumps(sealed)})


def map_hash(metadata: JsonObject, parts: dict[str, bytes]) -> str:
    """Return the `map_sha256` of a map, from the arguments of `join_with_hash`."""
    hashed = {name: value for name, value in metadata.items() if name != "timestamp_utc"}
    hashed["hashes"] = {name: value for name, value in metadata["hashes"].items() if name != "map_sha256"}
    return sha256(canonical_object(parts | {"metadata": rfc8785.dumps(hashed)})).hexdigest()


def canonical_object(parts: dict[str, bytes]) -> bytes:
    """Return a canonical object from the canonical forms of its members (ASCII names)."""
    members = (b"%s:%s" % (rfc8785.dumps(name), parts[name]) for name in sorted(parts))
    return b"{%s}" % b",".join(members)


def milliseconds(seconds: float) -> float:
    """Return the time in ms, rounded to 0.1 and not negative."""
    return max(0.0, round(float(seconds) * 1000, 1))


def beat_milliseconds(beats: Seconds) -> list[float]:
    """Return beat times in ms. Equal times give equal numbers, so that each downbeat equals a beat."""
    return [milliseconds(time) for time in beats.tolist()]


def _metadata(inputs: MapInputs) -> JsonObject:
    decoded = inputs.decoded
    name, version = inputs.decoder
    return {
        "filename": inputs.filename,
        "analysis_engine": inputs.engine,
        "timestamp_utc": inputs.timestamp_utc,
        "version": MAP_VERSION,
        "hashes": {"audio_sha256": inputs.audio_sha256, "map_sha256": "", "pcm_sha256": decoded.pcm_sha256},
        "analysis_config": inputs.config,
        "decoder": {
            "name": name,
            "version": version,
            "codec": decoded.codec,
            "container": decoded.container,
            "sample_rate_hz": decoded.sample_rate_hz,
            "channels": decoded.channels,
            "sample_offset": decoded.sample_offset,
            "offset_uncertain_ms": decoded.start.bound_ms,
            "declared_ms": None if decoded.declared_s is None else milliseconds(decoded.declared_s),
            "integrity": _unit(decoded.trust),
        },
        "warnings": [asdict(warning) for warning in inputs.warnings],
    }


def _global_metrics(inputs: MapInputs) -> JsonObject:
    rhythm, loudness, envelopes = inputs.rhythm, inputs.loudness, inputs.envelopes
    weights = envelopes.rms + 1e-9
    return {
        "duration_ms": max(0.1, milliseconds(inputs.decoded.duration_s)),
        "bpm": round(min(rhythm.bpm, _HIGHEST_BPM), 2),
        "f_measure": _unit(rhythm.agreement.f_measure),
        "cemgil": _unit(rhythm.agreement.cemgil),
        "f_measure_reference": "consensus",
        "dynamic_range": round(dynamic_range_db(envelopes), 2),
        "tempo_confidence": _unit(rhythm.tempo_confidence),
        "tempo_stability": _unit(rhythm.tempo_stability),
        "constant_tempo": rhythm.constant_tempo,
        "time_signature": rhythm.bars.time_signature,
        "key": inputs.key.tonic if inputs.key else "unknown",
        "scale": inputs.key.scale if inputs.key else "unknown",
        "key_strength": _unit(inputs.key.strength if inputs.key else 0.0),
        "integrated_lufs": _optional(loudness.integrated_lufs),
        "loudness_range_lu": round(loudness.range_lu, 2),
        "true_peak_dbtp": _optional(loudness.true_peak_dbtp),
        "spectral_centroid_hz": round(float(np.average(envelopes.centroid_hz, weights=weights)), 1),
        "danceability": round(inputs.danceability, 3),
        "confidence": _unit(rhythm.track_confidence),
    }


def _rhythm(rhythm: Rhythm) -> JsonObject:
    beats = beat_milliseconds(rhythm.beats)
    return {
        "beat_grid_ms": beats,
        "downbeat_ms": [time for time, first in zip(beats, rhythm.bars.is_downbeat, strict=True) if first],
        "beat_strength": _units(rhythm.strength),
        "beat_confidence": _units(rhythm.beat_confidence),
        "tempo_curve": [
            {"time_ms": milliseconds(time), "bpm": round(min(bpm, 400.0), 2)}
            for time, bpm in rhythm.tempo_curve.tolist()
        ],
        "interpretation_score": _unit(rhythm.interpretation_score),
        "alternatives": [_alternative(other) for other in rhythm.alternatives],
    }


def _alternative(other: Alternative) -> JsonObject:
    return {
        "kind": other.kind,
        "source": other.source,
        "bpm": round(min(_HIGHEST_ALTERNATIVE_BPM, tempo(other.beats)), 2),
        "score": _unit(other.score),
        "beat_grid_ms": beat_milliseconds(other.beats),
        "downbeat_ms": None if other.downbeats is None else beat_milliseconds(other.downbeats),
    }


def _frequency(envelopes: Envelopes, preset: Preset | None) -> JsonObject:
    """Return each band relative to its own loud moments, times the preset's gain: a light needs the full range."""
    gains = (preset.bass_gain, preset.mids_gain, preset.highs_gain) if preset else (1.0, 1.0, 1.0)
    return {
        name: _points(_relative(envelopes.bands[:, column], gain), "intensity", 3)
        for column, (name, gain) in enumerate(zip(("bass", "mids", "highs"), gains, strict=True))
    }


def _relative(levels: Floats, gain: float = 1.0) -> Floats:
    reference = max(float(np.percentile(levels, _ENVELOPE_PERCENTILE)), _QUIETEST_REFERENCE)
    return (levels * (gain / reference)).clip(0, 1)


def _dynamics(inputs: MapInputs) -> JsonObject:
    envelopes = inputs.envelopes
    short_term = inputs.loudness.short_term_lufs.tolist()
    return {
        "rms": _points(envelopes.rms.clip(0, 1), "intensity", 4),
        "loudness_lufs": [
            {
                "time_ms": round(SHORT_TERM_S * 1000 + index * 1000 / LOUDNESS_RATE_HZ, 1),
                "lufs": round(lufs, 2),
            }
            for index, lufs in enumerate(short_term)
        ],
        "window_ms": 1000 / ENVELOPE_RATE_HZ,
        "peaks": [
            {"time_ms": milliseconds(time), "intensity": _unit(level)}
            for time, level in loudest_moments(envelopes).tolist()
        ],
    }


def _spectral(inputs: MapInputs) -> JsonObject:
    envelopes = inputs.envelopes
    loudest = np.maximum(inputs.chroma.max(axis=1, keepdims=True), 1e-9) if len(inputs.chroma) else 1
    chroma = np.asarray(inputs.chroma / loudest).T
    return {
        "centroid": _points(envelopes.centroid_hz, "value", 0),
        "flux": _points(envelopes.flux, "value", 4),
        "flatness": _points(envelopes.flatness, "value", 4),
        "rolloff": _points(envelopes.rolloff_hz, "value", 0),
        "chroma": [_units(row) for row in chroma.reshape(PITCH_CLASSES, -1)],
    }


def _annotations(inputs: MapInputs) -> JsonObject:
    sections = inputs.sections
    return {
        "sections": [
            {
                "start_ms": milliseconds(section.start_s),
                "end_ms": milliseconds(section.end_s),
                "label": section.label,
                "confidence": _unit(_mean_between(inputs.rhythm, section)),
                "energy": _unit(section.energy),
            }
            for section in sections
        ],
        "drops": [
            milliseconds(section.start_s)
            for index, section in enumerate(sections)
            if section.label == "drop" and (index == 0 or sections[index - 1].label != "drop")
        ],
        "silence": [
            {"start_ms": milliseconds(start), "end_ms": milliseconds(end)} for start, end in inputs.silences
        ],
    }


def _mean_between(rhythm: Rhythm, section: Section) -> float:
    inside = (rhythm.beats >= section.start_s) & (rhythm.beats < section.end_s)
    return float(rhythm.beat_confidence[inside].mean()) if inside.any() else 0.0


def _points(values: Floats, name: str, digits: int) -> list[JsonObject]:
    step = 1000 // ENVELOPE_RATE_HZ
    # Through float64: rounding a float32 would leave its binary tail in the JSON.
    rounded = np.round(values.astype(np.float64), digits).tolist()
    return [{"time_ms": index * step, name: value} for index, value in enumerate(rounded)]


def _units(values: Sequence[float] | Floats | Seconds) -> list[float]:
    return np.round(np.asarray(values, np.float64).clip(0, 1), 3).tolist()


def _unit(value: float) -> float:
    return round(min(1.0, max(0.0, float(value))), 4)


def _optional(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
