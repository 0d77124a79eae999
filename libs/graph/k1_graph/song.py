"""Samples a Genesis map at the frames of a show, as input of the executor."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from k1_contracts.genesis import GenesisMap, IntensityPoint, Section
from k1_graph.errors import MapUnusableError
from k1_graph.limits import FRAME_MS, SONG_MAX_MS

Array = npt.NDArray[Any]

_BRIGHT_LABELS = frozenset({"drop", "chorus"})
_PITCH_CLASSES = 12


@dataclass(frozen=True, slots=True)
class SampledSong:
    """The data of a song that source nodes read; every array has one row per frame unless noted."""

    frames: int
    envelopes: Mapping[str, Array]
    """bass, mids, highs and rms, each (frames,) in 0..1."""
    section: Array
    section_energy: Array
    section_drop: Array
    beat_phase: Array
    """Position inside the beat, 0..1."""
    chroma: Array
    """(frames, 12), 0..1, pitch classes from C: the chroma of the current beat."""
    beats_ms: Array
    """(beats,)"""
    beat_strength: Array
    """(beats,) 0..1"""
    downbeats_ms: Array
    """(downbeats,)"""

    def events(self, times_ms: Array, strength: Array, lead_ms: float) -> Array:
        """Return a (frames,) array with each event's strength in the first frame at or after it, 0 elsewhere."""
        at = np.ceil((times_ms - lead_ms) / FRAME_MS).astype(np.int64)
        inside = at < self.frames
        samples = np.zeros(self.frames)
        np.maximum.at(samples, np.maximum(at[inside], 0), strength[inside])
        return samples


def sample_song(genesis: GenesisMap) -> SampledSong:
    """Sample a map at 50 frames per second; the last frame begins before the end of the song.

    Raises MapUnusableError for a map longer than six hours.
    """
    duration = genesis.global_metrics.duration_ms
    if duration > SONG_MAX_MS:
        raise MapUnusableError(
            f"The map lasts {duration / 3.6e6:.1f} hours; shows are computed up to 6 hours"
        )
    frames = max(1, math.ceil(duration / FRAME_MS))
    times = np.arange(frames) * FRAME_MS
    layers = genesis.layers
    bands = {"bass": layers.frequency.bass, "mids": layers.frequency.mids, "highs": layers.frequency.highs}
    beats = np.array(layers.rhythm.beat_grid_ms, dtype=np.float64)
    section, energy, drop = _sections(layers.annotations.sections, times)
    return SampledSong(
        frames=frames,
        envelopes=MappingProxyType(
            {name: _envelope(points, times) for name, points in {**bands, "rms": layers.dynamics.rms}.items()}
        ),
        section=section,
        section_energy=energy,
        section_drop=drop,
        beat_phase=_phase(beats, times),
        chroma=_chroma(layers.spectral.chroma, beats, times),
        beats_ms=beats,
        beat_strength=np.array(layers.rhythm.beat_strength, dtype=np.float64),
        downbeats_ms=np.array(layers.rhythm.downbeat_ms, dtype=np.float64),
    )


def key_name(genesis: GenesisMap) -> str:
    """Return the name of the key: `A minor`, or `no clear key`."""
    metrics = genesis.global_metrics
    return f"{metrics.key} {metrics.scale}" if metrics.scale in {"major", "minor"} else "no clear key"


def _envelope(points: Sequence[IntensityPoint], times: Array) -> Array:
    if not points:
        return np.zeros(len(times))
    at = np.array([point.time_ms for point in points])
    order = np.argsort(at, kind="stable")
    return np.interp(times, at[order], np.array([point.intensity for point in points])[order])


def _sections(sections: Sequence[Section], times: Array) -> tuple[Array, Array, Array]:
    if not sections:
        return np.zeros(len(times), dtype=np.int64), np.zeros(len(times)), np.zeros(len(times))
    ordered = sorted(sections, key=lambda section: section.start_ms)
    starts = [section.start_ms for section in ordered]
    index = np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)
    energy = np.array([section.energy for section in ordered])
    bright = np.array([float(section.label in _BRIGHT_LABELS) for section in ordered])
    return index, energy[index], bright[index]


def _phase(beats: Array, times: Array) -> Array:
    if len(beats) < 2:  # noqa: PLR2004  an interval needs two beats
        return np.zeros(len(times))
    current = np.clip(np.searchsorted(beats, times, side="right") - 1, 0, len(beats) - 2)
    return ((times - beats[current]) / (beats[current + 1] - beats[current])) % 1.0


def _chroma(rows: Sequence[Sequence[float]], beats: Array, times: Array) -> Array:
    columns = np.array(rows, dtype=np.float64).T
    if not len(columns) or not len(beats):
        return np.zeros((len(times), _PITCH_CLASSES))
    current = np.searchsorted(beats, times, side="right") - 1
    return columns[np.clip(current, 0, len(columns) - 1)]
