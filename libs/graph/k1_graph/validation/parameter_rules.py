"""Checks whether a JSON value is allowed for a parameter."""

import math
from collections.abc import Callable
from typing import cast

from k1_graph.limits import NAME_MAX
from k1_graph.node_types.definitions import ParamKind, ParamSpec

_LIST_KINDS: dict[ParamKind, ParamKind] = {"ints": "int", "colors": "color"}
_EXACT_INT_BITS = 63


def describe_value(value: object) -> str:
    """Return a short ASCII description of any value, safe to use in a message."""
    if isinstance(value, str):
        return ascii(value[:40]) + ("..." if len(value) > 40 else "")  # noqa: PLR2004  what a line can hold
    if isinstance(value, int) and value.bit_length() > _EXACT_INT_BITS:
        return "a huge integer"
    if value is None or isinstance(value, bool | int | float):
        return str(value)
    return f"a {type(value).__name__}"


def find_problem(spec: ParamSpec, value: object) -> str | None:
    """Return the problem with `value` as the end of a sentence, or None when the value is allowed."""
    if spec.kind in _LIST_KINDS:
        return _list_problem(spec, value, _LIST_KINDS[spec.kind])
    return _CHECKS[spec.kind](spec, value)


def describe_allowed(spec: ParamSpec) -> str:
    """Return a description of the allowed values."""
    if spec.choices:
        return "one of " + ", ".join(spec.choices)
    if spec.kind in {"float", "int", "ints"}:
        article = {"float": "a number", "int": "a whole number", "ints": "a list of whole numbers"}[spec.kind]
        return f"{article} from {spec.min:g} to {spec.max:g}"
    return {
        "bool": "true or false",
        "string": f"text of at most {NAME_MAX} characters",
        "color": "[red, green, blue], each 0..1",
        "colors": f"{spec.min_items} to {spec.max_items} colours [red, green, blue], each 0..1",
    }[spec.kind]


def _list_problem(spec: ParamSpec, value: object, kind: ParamKind) -> str | None:
    if not isinstance(value, list):
        return f"is {describe_value(value)}, not a list"
    items = cast("list[object]", value)
    if not spec.min_items <= len(items) <= spec.max_items:
        return f"has {len(items)} items"
    problems = (_CHECKS[kind](spec, item) for item in items)
    return next((f"has an item that {problem}" for problem in problems if problem), None)


def _number(spec: ParamSpec, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is {describe_value(value)}, not a number"
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}"
    low = -math.inf if spec.min is None else spec.min
    high = math.inf if spec.max is None else spec.max
    return None if low <= value <= high else f"is {describe_value(value)}, out of range"


def _integer(spec: ParamSpec, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return f"is {describe_value(value)}, not a whole number"
    return _number(spec, value)


def _bool(_spec: ParamSpec, value: object) -> str | None:
    return None if isinstance(value, bool) else f"is {describe_value(value)}, not true or false"


def _enum(spec: ParamSpec, value: object) -> str | None:
    return None if isinstance(value, str) and value in spec.choices else f"is {describe_value(value)}"


def _string(_spec: ParamSpec, value: object) -> str | None:
    if not isinstance(value, str):
        return f"is {describe_value(value)}, not text"
    if not value.isprintable():
        return f"is {describe_value(value)}, which holds characters that do not print"
    return None if len(value) <= NAME_MAX else f"has {len(value)} characters"


def _color(_spec: ParamSpec, value: object) -> str | None:
    if not isinstance(value, list):
        return f"is {describe_value(value)}, not a colour"
    channels = cast("list[object]", value)
    if len(channels) != 3:  # noqa: PLR2004  red, green, blue
        return f"is a colour of {len(channels)} channels"
    unit = ParamSpec("channel", "float", 0.0, "", min=0.0, max=1.0)
    problems = (_number(unit, channel) for channel in channels)
    return next((f"has a channel that {problem}" for problem in problems if problem), None)


_CHECKS: dict[ParamKind, Callable[[ParamSpec, object], str | None]] = {
    "float": _number,
    "int": _integer,
    "bool": _bool,
    "enum": _enum,
    "string": _string,
    "color": _color,
}
