"""The identity and the configuration of the engine. Together with the audio they determine the map."""

from dataclasses import asdict
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from k1_analysis.engine.presets import find_preset

ENGINE_NAME = "k1-analysis"
ENGINE_VERSION = "1.7.0"
ENGINE = f"{ENGINE_NAME} {ENGINE_VERSION}"
"""The name and version of the engine in a map's metadata."""
WEIGHTS_FILE = "beat_net.npz"
"""The network's parameters, in the folder `weights`."""


def analysis_config(preset: str | None = None) -> dict[str, Any]:
    """Return the configuration for the map. Equal configurations and equal audio give equal maps.

    Raises:
        UnknownPresetError: no preset has this name.
    """
    found = find_preset(preset) if preset else None
    return {
        "engine": ENGINE_NAME,
        "version": ENGINE_VERSION,
        "preset": found.name if found else None,
        "preset_values": _jsonable(asdict(found)) if found else None,
        "weights_sha256": _weights_digest(),
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "frame_rate_hz": FRAME_RATE_HZ,
        "libraries": {name: version(name) for name in ("av", "essentia", "numpy", "scipy")},
    }


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@cache
def _weights_digest() -> str:
    return sha256((files("k1_analysis.engine") / "weights" / WEIGHTS_FILE).read_bytes()).hexdigest()
