"""Loads the show templates from data/templates/*.toml: graphs with `$name` values that are fitted to a song."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from k1_graph.errors import GraphError


@dataclass(frozen=True, slots=True)
class Style:
    """The fitting parameters of a template; lengths are in beats, depth is a share of the brightness."""

    decay_beats: float
    trail_beats: float
    drop_trail_beats: float
    pulse_depth: float
    pulse_max_bpm: float
    """Above this tempo the pulse follows the downbeats."""
    minor: tuple[str, ...]
    """Colours from low to high energy for a song in a minor key, as hex."""
    major: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A graph to fit to a song; `nodes` are those of a graph document and contain `$names`."""

    name: str
    version: str
    presets: tuple[str, ...]
    about: str
    expected_bpm: tuple[float, float]
    weights: Mapping[str, float]
    """The share of the show that depends on each layer of the map."""
    style: Style
    nodes: Sequence[Mapping[str, Any]]


@cache
def templates() -> Sequence[Template]:
    """Load all templates of this package, sorted by file name; the result is cached."""
    folder = resources.files("k1_graph").joinpath("data/templates")
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return tuple(_read(file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".toml"))


def template_for(preset: str) -> Template:
    """Return the template of a preset. Raises GraphError, which lists the presets, for an unknown one."""
    for template in templates():
        if preset in template.presets:
            return template
    known = ", ".join(name for template in templates() for name in template.presets)
    raise GraphError(f"There is no template for the preset {preset!r}; use one of: {known}")


def _read(text: str) -> Template:
    raw = tomllib.loads(text)
    fit = raw["fit"]
    style = Style(minor=tuple(fit.pop("minor")), major=tuple(fit.pop("major")), **fit)
    low, high = raw["expects"]["bpm"]
    return Template(
        name=raw["name"],
        version=raw["version"],
        presets=tuple(raw["presets"]),
        about=raw["about"],
        expected_bpm=(low, high),
        weights=raw["weights"],
        style=style,
        nodes=raw["nodes"],
    )
