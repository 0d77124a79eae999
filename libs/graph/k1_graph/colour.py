"""Converts colours and loads the palettes. Colours are sRGB, 0..1, in the last axis."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TABLE_SIZE = 256
LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""BT.709 weights of red, green and blue."""

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE_D65 = np.array([0.95047, 1.0, 1.08883])
_TOE = 0.04045
"""Below this value the sRGB curve is linear."""
_LAB_EDGE = 6.0 / 29.0


def srgb_to_linear_table() -> Array:
    """Return the linear light of each 8-bit sRGB value, shape (256,) (IEC 61966-2-1)."""
    value = np.arange(TABLE_SIZE) / 255.0
    return np.where(value <= _TOE, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def to_lab(pixels: Array) -> Array:
    """Return CIE L*a*b* (1976, D65, 2 degrees) of 8-bit sRGB pixels, shape (..., 3)."""
    xyz = srgb_to_linear_table()[pixels] @ _TO_XYZ.T / _WHITE_D65
    curved = np.where(xyz > _LAB_EDGE**3, np.cbrt(xyz), xyz / (3.0 * _LAB_EDGE**2) + 4.0 / 29.0)
    x, y, z = curved[..., 0], curved[..., 1], curved[..., 2]
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def color_table(stops: Array) -> Array:
    """Interpolate a colour table, (256, 3) float32, between evenly spaced stops (k, 3)."""
    at = np.linspace(0.0, 1.0, len(stops))
    positions = np.linspace(0.0, 1.0, TABLE_SIZE)
    channels = [np.interp(positions, at, stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).astype(np.float32)


@cache
def palettes() -> Mapping[str, Array]:
    """Return the named palettes as colour tables, each (256, 3)."""
    text = resources.files("k1_graph").joinpath("data/palettes.toml").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            name: color_table(np.array([from_hex(s) for s in stops]))
            for name, stops in tomllib.loads(text).items()
        }
    )


def from_hex(text: str) -> list[float]:
    """Convert a hex colour to sRGB: `ff8000` gives [1.0, 0.502, 0.0]."""
    return [value / 255.0 for value in bytes.fromhex(text)]
