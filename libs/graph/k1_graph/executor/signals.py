"""Implements the kernels on signals. Recurrences run in plain Python: 12,000 steps take milliseconds."""

import math
from collections.abc import Callable

import numpy as np

from k1_graph.executor.values import Array, Chunk, Inputs, Kernel, Params, broadcast_frames, number
from k1_graph.limits import FRAME_MS

_BIN_HZ = 125.0
_BINS = 64
_BANDS = {"low": (0.0, 250.0), "mid": (250.0, 4000.0), "high": (4000.0, 8000.0)}
_MASK = np.uint64(0xFFFFFFFF)


def one_pole(values: Array, keep: float, state: float) -> tuple[Array, float]:
    """Apply keep x previous + (1 - keep) x value to (n,) values; return the result and the last state."""
    smooth: list[float] = []
    for value in values.tolist():
        state = keep * state + (1.0 - keep) * value
        smooth.append(state)
    return np.array(smooth, dtype=np.float64), state


def _pure(function: Callable[[Inputs, Params], Array]) -> Callable[[Params], Kernel]:
    def factory(params: Params) -> Kernel:
        def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
            return (function(inputs, params),)

        return kernel

    return factory


def _contrast(inputs: Inputs, params: Params) -> Array:
    pivot = number(params["pivot"])
    return np.clip(pivot + (inputs["x"] - pivot) * inputs["amount"], 0.0, 1.0)


def _perlin(inputs: Inputs, params: Params) -> Array:
    """Compute gradient noise after K. Perlin (Improving Noise, 2002) in one dimension, with hashed slopes."""
    octaves = int(number(params["octaves"]))
    x = np.asarray(inputs["x"] * number(params["scale"]), dtype=np.float64)
    total = np.zeros(1)
    weight = 0.0
    for octave in range(octaves):
        amplitude = 0.5**octave
        total = total + amplitude * _lattice_noise(x * 2.0**octave, inputs["seed"] + octave)
        weight += amplitude
    return 0.5 + total / weight


def _lattice_noise(x: Array, seed: Array) -> Array:
    """Compute one octave of noise, -0.5..0.5."""
    cell = np.floor(x)
    inside = x - cell
    fade = inside**3 * (inside * (inside * 6.0 - 15.0) + 10.0)
    left = _slope(cell, seed) * inside
    right = _slope(cell + 1.0, seed) * (inside - 1.0)
    return left + (right - left) * fade


def _slope(cell: Array, seed: Array) -> Array:
    """Return a slope in -1..1 from a 32-bit finaliser (MurmurHash3) of cell and seed."""
    mixed = (cell.astype(np.int64) * 0x9E3779B1 + seed.astype(np.int64) * 0x85EBCA77).astype(
        np.uint64
    ) & _MASK
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed = ((mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)) & _MASK
    mixed ^= mixed >> np.uint64(16)
    return mixed / 2.0**31 - 1.0


PURE_SIGNALS: dict[str, Callable[[Params], Kernel]] = {
    "Add": _pure(lambda i, _p: i["a"] + i["b"]),
    "Mul": _pure(lambda i, _p: i["a"] * i["b"]),
    "Mix": _pure(lambda i, _p: i["a"] * (1.0 - i["amount"]) + i["b"] * i["amount"]),
    "Lerp": _pure(lambda i, _p: i["from"] + (i["to"] - i["from"]) * i["t"]),
    "Clamp": _pure(lambda i, p: np.minimum(np.maximum(i["x"], number(p["lo"])), number(p["hi"]))),
    "Pow": _pure(lambda i, _p: np.power(np.maximum(i["x"], 0.0), i["exponent"])),
    "Sqrt": _pure(lambda i, _p: np.sqrt(np.maximum(i["x"], 0.0))),
    "Contrast": _pure(_contrast),
    "PerlinNoise": _pure(_perlin),
}


class _BandShape:
    def __init__(self, params: Params) -> None:
        low, high = _BANDS.get(str(params["band"]), (number(params["lo_hz"]), number(params["hi_hz"])))
        first = min(int(low / _BIN_HZ), _BINS - 1)
        self._bins = slice(first, max(first + 1, math.ceil(high / _BIN_HZ)))
        self._gain = number(params["gain"])
        self._keep = number(params["smoothing"])
        self._state = 0.0

    def __call__(self, inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        level = np.clip(inputs["src"][:, self._bins].mean(axis=1) * self._gain, 0.0, 1.0)
        smooth, self._state = one_pole(level, self._keep, self._state)
        return (smooth,)


class _BeatEvent:
    def __init__(self, params: Params) -> None:
        self._trigger_level = number(params["threshold"])
        self._rearm_level = self._trigger_level - number(params["hysteresis"])
        self._armed = True

    def __call__(self, inputs: Inputs, chunk: Chunk) -> tuple[Array, ...]:
        events = np.zeros(len(chunk))
        for frame, level in enumerate(broadcast_frames(inputs["envelope"], chunk).tolist()):
            if self._armed and level >= self._trigger_level:
                events[frame] = level
                self._armed = False
            elif level < self._rearm_level:
                self._armed = True
        return (events,)


class _BeatPulse:
    def __init__(self, params: Params) -> None:
        self._keep = math.exp(-FRAME_MS / number(params["decay_ms"]))
        self._level = 0.0

    def __call__(self, inputs: Inputs, chunk: Chunk) -> tuple[Array, ...]:
        levels: list[float] = []
        level = self._level
        for event in broadcast_frames(inputs["beat"], chunk).tolist():
            level = max(level * self._keep, event)
            levels.append(level)
        self._level = level
        return (np.array(levels),)


class _LowPass:
    def __init__(self, _params: Params) -> None:
        self._state = 0.0

    def __call__(self, inputs: Inputs, chunk: Chunk) -> tuple[Array, ...]:
        smooth: list[float] = []
        state = self._state
        signal = broadcast_frames(inputs["signal"], chunk).tolist()
        for value, alpha in zip(signal, broadcast_frames(inputs["alpha"], chunk).tolist(), strict=True):
            state = (1.0 - alpha) * state + alpha * value
            smooth.append(state)
        self._state = state
        return (np.array(smooth, dtype=np.float64),)


class _MovingAverage:
    def __init__(self, params: Params) -> None:
        self._size = int(number(params["window_size"]))
        self._history = np.zeros(self._size - 1)

    def __call__(self, inputs: Inputs, chunk: Chunk) -> tuple[Array, ...]:
        values = np.concatenate([self._history, broadcast_frames(inputs["signal"], chunk)])
        # Shifted slices instead of a running sum: a frame's mean must not depend on where its chunk begins.
        total = np.zeros(len(chunk))
        for lag in range(self._size):
            total += values[lag : lag + len(chunk)]
        self._history = values[len(chunk) :]
        return (total / self._size,)


STATEFUL_SIGNALS: dict[str, Callable[[Params], Kernel]] = {
    "BandShape": _BandShape,
    "BeatEvent": _BeatEvent,
    "BeatPulse": _BeatPulse,
    "LowPass": _LowPass,
    "MovingAverage": _MovingAverage,
}
