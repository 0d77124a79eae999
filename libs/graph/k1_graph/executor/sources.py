"""Implements the kernels that read the song, and those of constants."""

from collections.abc import Callable

import numpy as np

from k1_graph.executor.signals import one_pole
from k1_graph.executor.values import Array, Chunk, Inputs, Kernel, Params, number
from k1_graph.limits import FPS
from k1_graph.song import SampledSong

_BIN_BANDS = ((2, "bass"), (30, "mids"), (32, "highs"))
"""Bins of 125 Hz in each of the map's bands: 0-250, 250-4000 and 4000-8000 Hz."""
_A3_HZ = 220.0
_A_CLASS = 9
_SILENCE = 1e-3

SongFactory = Callable[[Params, SampledSong], Kernel]


def constant(value: Array) -> Kernel:
    """Return a kernel that always outputs `value`, which has one row."""

    def kernel(_inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        return (value,)

    return kernel


def _slices(*outputs: Array) -> Kernel:
    """Return a kernel that outputs slices of arrays that cover the song."""

    def kernel(_inputs: Inputs, chunk: Chunk) -> tuple[Array, ...]:
        return tuple(output[chunk.window] for output in outputs)

    return kernel


def _time(_params: Params, song: SampledSong) -> Kernel:
    return _slices(np.arange(song.frames) / FPS)


def _snapshot(_params: Params, song: SampledSong) -> Kernel:
    return _slices(song.envelopes["rms"])


def _spectrum(_params: Params, song: SampledSong) -> Kernel:
    def kernel(_inputs: Inputs, chunk: Chunk) -> tuple[Array, ...]:
        bands = [np.tile(song.envelopes[name][chunk.window, None], bins) for bins, name in _BIN_BANDS]
        return (np.concatenate(bands, axis=1),)

    return kernel


def _beats(params: Params, song: SampledSong) -> Kernel:
    strength = 0.5 + 0.5 * song.beat_strength
    return _slices(song.events(song.beats_ms, strength, number(params["lead_ms"])))


def _downbeats(params: Params, song: SampledSong) -> Kernel:
    return _slices(song.events(song.downbeats_ms, np.ones(len(song.downbeats_ms)), number(params["lead_ms"])))


def _envelope(params: Params, song: SampledSong) -> Kernel:
    keep = number(params["smoothing"])
    smooth, _ = one_pole(song.envelopes[str(params["layer"])], keep, 0.0)
    return _slices(smooth)


def _section(_params: Params, song: SampledSong) -> Kernel:
    return _slices(song.section, song.section_energy, song.section_drop)


def _tempo(_params: Params, song: SampledSong) -> Kernel:
    return _slices(song.beat_phase)


def _position(params: Params, song: SampledSong) -> Kernel:
    # Rounded, because 0.6 s / 0.2 s must be exactly 3 cycles.
    cycles = np.round(np.arange(song.frames) / FPS / number(params["cycle_length"]), 9)
    if params["mode"] == "once":
        return _slices(np.minimum(cycles, 1.0))
    if params["mode"] == "ping_pong":
        return _slices(1.0 - np.abs(cycles % 2.0 - 1.0))
    return _slices(cycles % 1.0)


def _pitch(params: Params, song: SampledSong) -> Kernel:
    threshold = number(params["confidence_threshold"])

    def kernel(inputs: Inputs, chunk: Chunk) -> tuple[Array, ...]:
        chroma = song.chroma[chunk.window]
        peak = chroma.max(axis=1)
        confidence = np.divide(peak - chroma.mean(axis=1), peak, out=np.zeros_like(peak), where=peak > 0)
        confidence = np.where(inputs["spectrum"].max(axis=1) > _SILENCE, confidence, 0.0)
        semitones = (chroma.argmax(axis=1) - _A_CLASS) % 12
        pitch = _A3_HZ * np.exp2(semitones / 12.0)
        return np.where((confidence >= threshold) & (confidence > 0), pitch, 0.0), confidence

    return kernel


def _chroma(params: Params, song: SampledSong) -> Kernel:
    peak_only = params["mode"] == "peak"

    def kernel(inputs: Inputs, chunk: Chunk) -> tuple[Array, ...]:
        chroma = song.chroma[chunk.window]
        strongest = chroma.argmax(axis=1)
        if peak_only:
            chroma = chroma * (np.arange(12) == strongest[:, None])
        return chroma * inputs["spectrum"].max(axis=1)[:, None], strongest / 12.0

    return kernel


SONG_SOURCES: dict[str, SongFactory] = {
    "Time": _time,
    "AudioSnapshot": _snapshot,
    "AudioSpectrum": _spectrum,
    "MapBeat": _beats,
    "MapDownbeat": _downbeats,
    "MapEnvelope": _envelope,
    "MapSection": _section,
    "TempoTracker": _tempo,
    "PositionAccumulator": _position,
    "AutoCorrelation": _pitch,
    "Chromagram": _chroma,
}

CONSTANTS: dict[str, Callable[[Params], Kernel]] = {
    "ParamF": lambda params: constant(np.array([params["default"]], dtype=np.float64)),
    "ParamColor": lambda params: constant(np.array([params["default"]], dtype=np.float32)),
    "ConfigToggle": lambda params: constant(np.array([params["default"]], dtype=np.bool_)),
    "RngSeed": lambda params: constant(np.array([params["seed_value"]], dtype=np.int64)),
}
