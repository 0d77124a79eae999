"""Provides a synthetic Genesis map and helpers for writing graphs, for tests and benchmarks."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from k1_contracts.base import JsonObject
from k1_contracts.genesis import (
    Annotations,
    Dynamics,
    Frequency,
    GenesisMap,
    GlobalMetrics,
    Hashes,
    IntensityPoint,
    Layers,
    LoudnessPoint,
    Metadata,
    Rhythm,
    Section,
    SectionLabel,
    Spectral,
    TempoPoint,
    ValuePoint,
)
from k1_graph.graph import Graph
from k1_graph.validation.validator import parse_graph

_SHAPE: Sequence[tuple[SectionLabel, float, float]] = (
    ("intro", 0.12, 0.25),
    ("build", 0.13, 0.55),
    ("drop", 0.25, 0.95),
    ("breakdown", 0.15, 0.30),
    ("build", 0.10, 0.60),
    ("drop", 0.15, 1.00),
    ("outro", 0.10, 0.20),
)
_BEATS_A_BAR = 4


def synthetic_map(
    duration_ms: float = 20_000.0,
    *,
    bpm: float = 120.0,
    seed: int = 0,
    sections: Sequence[tuple[SectionLabel, float, float]] = _SHAPE,
    f_measure: float = 0.9,
) -> GenesisMap:
    """Return the map of a song of constant tempo. `sections` are (label, share of the length, energy)."""
    rng = np.random.default_rng(seed)
    beats = np.round(np.arange(500.0, duration_ms, 60_000.0 / bpm), 1)
    times = np.round(np.arange(0.0, duration_ms, 50.0), 1)
    parts = _sections(duration_ms, sections)
    energy = np.array([_energy_at(parts, time) for time in times])
    beat_phase = ((times - 500.0) % (60_000.0 / bpm)) / (60_000.0 / bpm)
    kick = np.exp(-5.0 * beat_phase)

    def envelope(base: npt.NDArray[np.float64]) -> list[IntensityPoint]:
        noisy = np.clip(base + rng.normal(0.0, 0.03, len(base)), 0.0, 1.0)
        return [
            IntensityPoint(time_ms=float(t), intensity=round(float(v), 4))
            for t, v in zip(times, noisy, strict=True)
        ]

    def values(centre: float, spread: float) -> list[ValuePoint]:
        drawn = rng.normal(centre, spread, len(times))
        return [
            ValuePoint(time_ms=float(t), value=round(float(v), 3)) for t, v in zip(times, drawn, strict=True)
        ]

    return GenesisMap(
        metadata=Metadata(
            filename="synthetic.wav",
            analysis_engine="synthetic",
            timestamp_utc="2026-01-01T00:00:00Z",
            hashes=Hashes(audio_sha256="0" * 64, map_sha256="1" * 64),
            analysis_config={"seed": seed},
        ),
        global_metrics=_metrics(duration_ms, bpm, f_measure),
        layers=Layers(
            rhythm=Rhythm(
                beat_grid_ms=beats.tolist(),
                downbeat_ms=beats[::_BEATS_A_BAR].tolist(),
                beat_strength=np.round(rng.uniform(0.5, 1.0, len(beats)), 3).tolist(),
                tempo_curve=[TempoPoint(time_ms=float(t), bpm=bpm) for t in times[::200]],
            ),
            frequency=Frequency(
                bass=envelope(energy * kick),
                mids=envelope(energy * 0.6),
                highs=envelope(energy * 0.4 * (1.0 - beat_phase)),
            ),
            dynamics=Dynamics(
                rms=envelope(energy * (0.7 + 0.3 * kick)),
                loudness_lufs=[
                    LoudnessPoint(time_ms=float(t), lufs=round(-30.0 + 20.0 * float(e), 2))
                    for t, e in zip(times[::2], energy[::2], strict=True)
                ],
                window_ms=50.0,
                peaks=[IntensityPoint(time_ms=float(beat), intensity=0.9) for beat in beats[:: 4 * 8]],
            ),
            spectral=Spectral(
                centroid=values(2000.0, 300.0),
                flux=values(0.3, 0.05),
                flatness=values(0.2, 0.02),
                rolloff=values(6000.0, 500.0),
                chroma=np.round(rng.uniform(0.0, 1.0, (12, len(beats))), 3).tolist(),
            ),
            annotations=Annotations(
                sections=parts,
                drops=[part.start_ms for part in parts if part.label == "drop"],
                silence=[],
            ),
        ),
    )


def _sections(duration_ms: float, shape: Sequence[tuple[SectionLabel, float, float]]) -> list[Section]:
    edges = np.round(np.cumsum([0.0, *(share for _, share, _ in shape)]) * duration_ms, 1)
    return [
        Section(
            start_ms=float(edges[index]),
            end_ms=float(edges[index + 1]),
            label=label,
            confidence=0.8,
            energy=energy,
        )
        for index, (label, _, energy) in enumerate(shape)
    ]


def _energy_at(parts: Sequence[Section], time: float) -> float:
    return next((part.energy for part in parts if part.start_ms <= time < part.end_ms), parts[-1].energy)


def _metrics(duration_ms: float, bpm: float, f_measure: float) -> GlobalMetrics:
    return GlobalMetrics(
        duration_ms=duration_ms,
        bpm=bpm,
        f_measure=f_measure,
        cemgil=0.85,
        dynamic_range=9.0,
        f_measure_reference="consensus",
        tempo_confidence=0.9,
        tempo_stability=0.98,
        time_signature="4/4",
        key="A",
        scale="minor",
        key_strength=0.7,
        integrated_lufs=-9.5,
        loudness_range_lu=6.0,
        true_peak_dbtp=-0.5,
        spectral_centroid_hz=2000.0,
        danceability=1.2,
    )


def document(*nodes: JsonObject) -> JsonObject:
    """Return a graph document with these nodes, as parsed JSON."""
    return {"name": "show", "version": "v1.0", "nodes": list(nodes)}


def node(name: str, kind: str, inputs: dict[str, str] | None = None, /, **params: JsonValue) -> JsonObject:
    """Return a node of a document."""
    return {"id": name, "type": kind, "inputs": inputs or {}, "params": params}


def graph_of(*nodes: JsonObject) -> Graph:
    """Return the compiled graph of these nodes."""
    return parse_graph(document(*nodes))[1]
