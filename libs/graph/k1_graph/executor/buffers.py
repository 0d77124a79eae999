"""Implements the stateless kernels on whole strips, (n, 180, 3) or (n, 180) float32."""

from collections.abc import Callable
from typing import cast

import numpy as np

from k1_graph.executor.colours import palette_table, table_index
from k1_graph.executor.values import Array, Chunk, Inputs, Kernel, Params, as_buffer_factor, number
from k1_graph.limits import LEDS

_HALF = LEDS // 2


def _transform_source(change: Callable[[Array, Params], Array]) -> Callable[[Params], Kernel]:
    def factory(params: Params) -> Kernel:
        def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
            return (change(inputs["src"], params),)

        return kernel

    return factory


def _fill(_params: Params) -> Kernel:
    def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        color = inputs["color"].astype(np.float32, copy=False)
        return (np.broadcast_to(color[:, None, :], (len(color), LEDS, 3)),)

    return kernel


def _colorize(params: Params) -> Kernel:
    table = palette_table(params)

    def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        return (table[table_index(inputs["index_buf"])],)

    return kernel


def _blur(src: Array, params: Params) -> Array:
    radius = int(number(params["radius"]))
    first = np.broadcast_to(src[:, :1], (len(src), radius, 3))
    last = np.broadcast_to(src[:, -1:], (len(src), radius, 3))
    wide = np.concatenate([first, src, last], axis=1)
    total = wide[:, :LEDS].copy()
    for offset in range(1, 2 * radius + 1):
        total += wide[:, offset : offset + LEDS]
    total *= np.float32(1.0 / (2 * radius + 1))
    return total


def _mirror(src: Array, params: Params) -> Array:
    if params["axis"] == "flip":
        return src[:, ::-1]
    if params["axis"] == "left":
        return np.concatenate([src[:, :_HALF], src[:, _HALF - 1 :: -1]], axis=1)
    return np.concatenate([src[:, : _HALF - 1 : -1], src[:, _HALF:]], axis=1)


def _downsample(src: Array, params: Params) -> Array:
    factor = int(number(params["factor"]))
    starts = np.arange(0, LEDS, factor)
    lengths = np.diff(np.append(starts, LEDS))
    shape = (1, len(starts), *([1] * (src.ndim - 2)))
    means = np.add.reduceat(src, starts, axis=1) / lengths.astype(np.float32).reshape(shape)
    return np.repeat(means, lengths, axis=1)


def _shift(_params: Params) -> Kernel:
    def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        src, offset = inputs["src"], inputs["offset"]
        whole = np.floor(offset)
        part = (offset - whole).astype(np.float32).reshape(-1, *([1] * (src.ndim - 1)))
        steps = whole.astype(np.int64)
        return ((1 - part) * _rolled(src, steps) + part * _rolled(src, steps + 1),)

    return kernel


def _rolled(src: Array, steps: Array) -> Array:
    if len(steps) == 1:
        return np.roll(src, int(steps[0]) % LEDS, axis=1)
    leds = (np.arange(LEDS) - steps[:, None]) % LEDS
    frames = np.arange(len(steps))[:, None] if len(src) > 1 else 0
    return src[frames, leds]


def blend(mode: str, base: Array, top: Array) -> Array:
    """Blend two layers of 0..1: add (limited to 1), multiply, screen or overlay (W3C Compositing, 2015)."""
    if mode == "add":
        return np.minimum(base + top, np.float32(1.0))
    if mode == "multiply":
        return base * top
    if mode == "screen":
        return base + top - base * top
    return np.where(base <= np.float32(0.5), 2 * base * top, 1 - 2 * (1 - base) * (1 - top))


def _compose(params: Params) -> Kernel:
    mode = str(params["blend_mode"])

    def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        base = inputs["base"]
        opacity = inputs["opacity"] * inputs["enabled"]
        joined = blend(mode, base, inputs["overlay"])
        if np.all(opacity == 1.0):
            return (joined,)
        share = as_buffer_factor(opacity)
        return (base * (1 - share) + joined * share,)

    return kernel


def _dots(params: Params) -> Kernel:
    mode = str(params["blend_mode"])
    color = np.array(params["color"], dtype=np.float32)
    mask = _dot_mask(cast("list[int]", params["indices"]), int(number(params["peak_width"])))
    black = np.zeros((1, LEDS, 3), dtype=np.float32)

    def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        base = inputs.get("base_buf", black)
        share = as_buffer_factor(inputs["level"]) * mask[:, None]
        return (base * (1 - share) + blend(mode, base, color) * share,)

    return kernel


def _dot_mask(indices: list[int], width: int) -> Array:
    """Return the share of each LED that the dots cover, shape (180,)."""
    mask = np.zeros(LEDS, dtype=np.float32)
    for index in indices:
        for offset in range(1 - width, width):
            if 0 <= index + offset < LEDS:
                mask[index + offset] = max(mask[index + offset], 1.0 - abs(offset) / width)
    return mask


BUFFERS: dict[str, Callable[[Params], Kernel]] = {
    "Fill": _fill,
    "ColorizeBuffer": _colorize,
    "Blur": _transform_source(_blur),
    "Mirror": _transform_source(_mirror),
    "Downsample": _transform_source(_downsample),
    "Shift": _shift,
    "ComposeLayers": _compose,
    "DotRender": _dots,
}
