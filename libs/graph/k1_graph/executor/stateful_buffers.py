"""Implements the kernels that keep the strip of the last frame. Only the recurrence loops over frames."""

from collections.abc import Callable

import numpy as np

from k1_graph.executor.values import (
    Array,
    Chunk,
    Inputs,
    Kernel,
    Params,
    as_buffer_factor,
    broadcast_frames,
    number,
)
from k1_graph.limits import LEDS

_HALF = LEDS // 2
_WAVE_LIMIT = 2.0


class _BufferPersist:
    def __init__(self, _params: Params) -> None:
        self._last = np.zeros(LEDS * 3, dtype=np.float32)

    def __call__(self, inputs: Inputs, chunk: Chunk) -> tuple[Array, ...]:
        decay = as_buffer_factor(inputs["decay"])
        fresh = broadcast_frames((1 - decay) * inputs["src"], chunk)
        trail = np.empty((len(chunk), LEDS * 3), dtype=np.float32)
        rows = fresh.reshape(len(chunk), LEDS * 3)
        last = self._last
        for frame, keep in enumerate(broadcast_frames(decay, chunk).ravel()):
            np.multiply(last, keep, out=trail[frame])
            last = trail[frame]
            last += rows[frame]
        self._last = last.copy()
        return (trail.reshape(len(chunk), LEDS, 3),)


class _WavePool:
    """Wave equation, explicit scheme, one step per frame; first-order absorbing ends (Mur, 1981)."""

    def __init__(self, params: Params) -> None:
        speed = number(params["speed"])
        self._pull = np.float32(speed * speed)
        self._absorb = np.float32((speed - 1.0) / (speed + 1.0))
        self._keep = np.float32(1.0 - number(params["damping"]))
        self._origin = slice(_HALF - 1, _HALF + 1) if params["origin"] == "center" else slice(0, 1)
        self._now = np.zeros(LEDS, dtype=np.float32)
        self._before = np.zeros(LEDS, dtype=np.float32)

    def __call__(self, inputs: Inputs, chunk: Chunk) -> tuple[Array, ...]:
        lift = np.clip(broadcast_frames(inputs["src"], chunk), 0.0, 1.0).astype(np.float32)
        heights = np.empty((len(chunk), LEDS), dtype=np.float32)
        now, before = self._now, self._before
        for frame, level in enumerate(lift):
            after = self._step(now, before)
            if level > 0:
                self._lift(after, now, level)
            heights[frame] = after
            now, before = after, now
        self._now, self._before = now, before
        return (np.clip(heights, 0.0, 1.0, out=heights),)

    def _lift(self, after: Array, now: Array, level: Array) -> None:
        """Raise the origin with zero velocity, so that it splits into waves and leaves no plateau."""
        missing = np.maximum(level - after[self._origin], 0)
        after[self._origin] += missing
        now[self._origin] += missing / self._keep

    def _step(self, now: Array, before: Array) -> Array:
        # A lossless wave times keep^frame: all frequencies fade equally and travel equally far.
        scaled = self._keep * now
        after = 2 * scaled - self._keep**2 * before
        after[1:-1] += self._pull * (scaled[2:] - 2 * scaled[1:-1] + scaled[:-2])
        after[0] = scaled[1] + self._absorb * (after[1] - scaled[0])
        after[-1] = scaled[-2] + self._absorb * (after[-2] - scaled[-1])
        return np.clip(after, -_WAVE_LIMIT, _WAVE_LIMIT, out=after)


class _SpriteScroll:
    """Both halves scroll together as (90, 2, 3); row 0 is where the pixels enter."""

    def __init__(self, params: Params) -> None:
        speed = number(params["speed"])
        whole = int(speed)
        self._part = np.float32(speed - whole)
        self._entry = whole + 1
        self._inwards = params["direction"] == "in"
        self._canvas = np.zeros((self._entry + _HALF, 2, 3), dtype=np.float32)

    def __call__(self, inputs: Inputs, chunk: Chunk) -> tuple[Array, ...]:
        src = broadcast_frames(inputs["src"], chunk)
        left, right = (0, LEDS - 1) if self._inwards else (_HALF - 1, _HALF)
        painted = np.stack([src[:, left], src[:, right]], axis=1)
        flow = np.empty((len(chunk), _HALF, 2, 3), dtype=np.float32)
        for frame in range(len(chunk)):
            self._advance(painted[frame], flow[frame])
        halves = flow if self._inwards else flow[:, ::-1]
        return (np.concatenate([halves[:, :, 0], halves[:, ::-1, 1]], axis=1),)

    def _advance(self, painted: Array, out: Array) -> None:
        canvas = self._canvas
        canvas[: self._entry] = painted
        np.multiply(canvas[1 : _HALF + 1], 1 - self._part, out=out)
        if self._part:
            out += self._part * canvas[:_HALF]
        out[0] = painted
        canvas[self._entry :] = out


STATEFUL_BUFFERS: dict[str, Callable[[Params], Kernel]] = {
    "BufferPersist": _BufferPersist,
    "WavePool": _WavePool,
    "SpriteScroll": _SpriteScroll,
}
