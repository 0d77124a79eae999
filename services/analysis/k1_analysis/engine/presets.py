"""Reads the presets: settings of the engine for each style that a person can name. They are data files."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings for one style."""

    name: str
    title: str
    tempo_bpm: tuple[float, float]
    """The range that decides between a tempo, its half and its double."""
    metres: tuple[int, ...]
    """Preferred numbers of beats in a bar."""
    bass_gain: float
    mids_gain: float
    highs_gain: float
    sections: tuple[str, ...]
    """The labels that make sense in this style."""
    graph_template: str
    """The template of the light show."""
    aliases: tuple[str, ...]


class UnknownPresetError(ValueError):
    """No preset has this name."""


@cache
def presets() -> dict[str, Preset]:
    """Return every preset by its name; the files are read once per process."""
    found = [
        _read(entry.read_text("utf-8"))
        for entry in files("k1_analysis.presets").iterdir()
        if entry.name.endswith(".toml")
    ]
    return {preset.name: preset for preset in sorted(found, key=lambda preset: preset.name)}


def find_preset(name: str) -> Preset:
    """Return the preset with this name or alias.

    Raises:
        UnknownPresetError: there is none; the message lists those that exist.
    """
    for preset in presets().values():
        if name == preset.name or name in preset.aliases:
            return preset
    raise UnknownPresetError(f"Unknown preset {name!r}. Choose one of: {', '.join(presets())}.")


def _read(text: str) -> Preset:
    data = tomllib.loads(text)
    low, high = data["tempo_bpm"]
    gains = data["band_gains"]
    return Preset(
        name=data["name"],
        title=data["title"],
        tempo_bpm=(float(low), float(high)),
        metres=tuple(data["metres"]),
        bass_gain=float(gains["bass"]),
        mids_gain=float(gains["mids"]),
        highs_gain=float(gains["highs"]),
        sections=tuple(data["sections"]),
        graph_template=data["graph_template"],
        aliases=tuple(data.get("aliases", ())),
    )
