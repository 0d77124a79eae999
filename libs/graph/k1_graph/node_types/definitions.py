"""Loads the node types from data/nodes.toml and decides which output types fit which inputs."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal, cast

Behaviour = Literal["constant", "pure", "source", "stateful", "root"]
ParamKind = Literal["float", "int", "bool", "enum", "string", "color", "colors", "ints"]
ParamValue = float | int | bool | str | list[float] | list[int] | list[list[float]]

BYTES_PER_LED = {"led_buffer<vec3>": 12, "led_buffer<float>": 4}


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """A parameter of a node type. `min_items` and `max_items` limit the length of lists."""

    name: str
    kind: ParamKind
    default: ParamValue
    about: str
    min: float | None = None
    max: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    min_items: int = 0
    max_items: int = 0


@dataclass(frozen=True, slots=True)
class InputPort:
    """An input port. With `drives`, a parameter of the same name is the value while the port is unconnected."""

    name: str
    type: str
    required: bool
    drives: bool


@dataclass(frozen=True, slots=True)
class NodeType:
    """A node type. Cost is in microseconds per frame at 180 LEDs, state in bytes kept between frames."""

    type: str
    group: str
    about: str
    behaviour: Behaviour
    cost_us: float
    inputs: Mapping[str, InputPort]
    outputs: Mapping[str, str]
    params: Mapping[str, ParamSpec]
    cost_per: str | None = None
    cost_source: Literal["measured", "stated"] = "stated"
    state_bytes: int = 0
    state_per: str | None = None
    state_allowed: bool = False
    microphone: bool = False

    def cost(self, params: Mapping[str, ParamValue]) -> float:
        """Return the microseconds per frame. `params` must be complete."""
        return self.cost_us * (float(cast("float", params[self.cost_per])) if self.cost_per else 1.0)

    def state(self, params: Mapping[str, ParamValue]) -> int:
        """Return the bytes kept between frames. `params` must be complete."""
        return self.state_bytes * (int(cast("int", params[self.state_per])) if self.state_per else 1)

    @property
    def default_output(self) -> str | None:
        """The output that a reference without an output name means; None for a root."""
        return next(iter(self.outputs), None)


@dataclass(frozen=True, slots=True)
class NodeTypes:
    """All node types, and the first firmware version that supports them all."""

    firmware_min_version: str
    nodes: Mapping[str, NodeType]

    def to_json(self) -> dict[str, Any]:
        """Return all node types as JSON, for the web page and the API."""
        nodes = [
            {
                **{
                    field: getattr(spec, field)
                    for field in NodeType.__slots__
                    if field not in {"inputs", "outputs", "params"}
                },
                "inputs": [asdict(port) for port in spec.inputs.values()],
                "outputs": [{"name": name, "type": kind} for name, kind in spec.outputs.items()],
                "params": [asdict(param) for param in spec.params.values()],
            }
            for spec in self.nodes.values()
        ]
        return {"firmware_min_version": self.firmware_min_version, "nodes": nodes}


@cache
def load_node_types() -> NodeTypes:
    """Load the node types from the package data; the result is cached."""
    text = resources.files("k1_graph").joinpath("data/nodes.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    nodes = {name: _node(name, body) for name, body in raw["nodes"].items()}
    return NodeTypes(raw["firmware_min_version"], MappingProxyType(nodes))


def _node(name: str, body: dict[str, Any]) -> NodeType:
    params = {key: _param(key, value) for key, value in body.pop("params", {}).items()}
    inputs = {
        port: InputPort(port, kind.removesuffix("!"), kind.endswith("!"), port in params)
        for port, kind in body.pop("inputs", {}).items()
    }
    return NodeType(
        type=name,
        inputs=MappingProxyType(inputs),
        outputs=MappingProxyType(dict(body.pop("outputs", {}))),
        params=MappingProxyType(params),
        **body,
    )


def _param(name: str, body: dict[str, Any]) -> ParamSpec:
    choices = tuple(body.pop("choices", ()))
    return ParamSpec(name=name, choices=choices, **body)


def is_assignable(source: str, target: str) -> bool:
    """Return whether an output of type `source` may be connected to a port of type `target`.

    int widens to float, vec3 and color are one type, `param<T>` reads as T, an audio_envelope and time read
    as float, and `led_buffer<T>` accepts either buffer. There is no other implicit conversion.
    """
    source_type = _base_type(source)
    target_type = _base_type(target)
    if source_type == target_type:
        return True
    if target_type == "float":
        return source_type in {"int", "audio_envelope", "time"}
    return target_type == "led_buffer<T>" and source_type in BYTES_PER_LED


def _base_type(kind: str) -> str:
    inner = kind.removeprefix("param<").removesuffix(">") if kind.startswith("param<") else kind
    return "color" if inner == "vec3" else inner
