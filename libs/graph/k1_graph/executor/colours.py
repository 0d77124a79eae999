"""Implements the kernels that create and change colours, (n, 3) float32 in 0..1."""

from collections.abc import Callable

import numpy as np

from k1_graph.colour import LUMA, TABLE_SIZE, color_table, palettes
from k1_graph.executor.values import Array, Chunk, Inputs, Kernel, Params, number


def palette_table(params: Params) -> Array:
    """Return the table, (256, 3), of the palette that the parameters name."""
    if params["palette"] == "custom":
        return color_table(np.array(params["stops"], dtype=np.float64))
    return palettes()[str(params["palette"])]


def table_index(values: Array) -> Array:
    """Return the table row of each value; values outside 0..1 are clipped."""
    return (np.clip(values, 0.0, 1.0) * (TABLE_SIZE - 1) + 0.5).astype(np.uint8)


def _stacked(channels: list[Array]) -> Array:
    return np.stack(np.broadcast_arrays(*channels), axis=-1).astype(np.float32)


def _hsv(_params: Params) -> Kernel:
    """Convert hue, saturation and value by A. R. Smith's hexcone (1978), in its branch-free form."""

    def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        hue, saturation, value = inputs["h"], inputs["s"], inputs["v"]
        channels: list[Array] = []
        for offset in (5.0, 3.0, 1.0):
            k = (offset + 6.0 * hue) % 6.0
            channels.append(value - value * saturation * np.clip(np.minimum(k, 4.0 - k), 0.0, 1.0))
        return (_stacked(channels),)

    return kernel


def _color(_params: Params) -> Kernel:
    def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        return (_stacked([inputs["r"], inputs["g"], inputs["b"]]),)

    return kernel


def _gradient(params: Params) -> Kernel:
    table = palette_table(params)

    def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
        return (table[table_index(inputs["index"])],)

    return kernel


def _blend_with(change: Callable[[Array, str], Array]) -> Callable[[Params], Kernel]:
    """Return a kernel factory that blends a colour by `strength` with its changed colour."""

    def factory(params: Params) -> Kernel:
        strength = np.float32(number(params["strength"]))
        mode = str(params["mode"])

        def kernel(inputs: Inputs, _chunk: Chunk) -> tuple[Array, ...]:
            color = inputs["color"]
            return (np.clip(color + strength * (change(color, mode) - color), 0.0, 1.0),)

        return kernel

    return factory


def _luma(color: Array) -> Array:
    # Written out: a matrix product may round a row differently in another chunk size.
    return color[:, :1] * LUMA[0] + color[:, 1:2] * LUMA[1] + color[:, 2:] * LUMA[2]


def _grey(color: Array, mode: str) -> Array:
    if mode == "luma":
        return _luma(color)
    if mode == "average":
        return (color[:, :1] + color[:, 1:2] + color[:, 2:]) / np.float32(3.0)
    return (color.max(axis=1, keepdims=True) + color.min(axis=1, keepdims=True)) * np.float32(0.5)


def _saturated(color: Array, mode: str) -> Array:
    high = color.max(axis=1, keepdims=True)
    low = color.min(axis=1, keepdims=True)
    spread = np.where(high > low, high - low, np.float32(1.0))
    full = np.where(high > low, (color - low) / spread * high, color)
    if mode == "value":
        return full
    luma = _luma(full)
    scale = np.divide(_luma(color), luma, out=np.ones_like(luma), where=luma > 0)
    return np.minimum(full * scale, np.float32(1.0))


def _from_palette(color: Array, mode: str) -> Array:
    return palettes()[mode][table_index(_luma(color)[:, 0])]


COLOURS: dict[str, Callable[[Params], Kernel]] = {
    "Hsv": _hsv,
    "Color": _color,
    "GradientMap": _gradient,
    "Desaturate": _blend_with(_grey),
    "ForceSaturation": _blend_with(_saturated),
    "PaletteSelector": _blend_with(_from_palette),
}
