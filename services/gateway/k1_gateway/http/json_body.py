"""Parses JSON from clients, and rejects values that the grammar allows but no service can use. Pure."""

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

MAX_DEPTH: Final = 64
_MAX_INTEGER: Final = 2**63 - 1
_MAX_INTEGER_DIGITS: Final = 20
_MAX_SHOWN: Final = 40
_TOO_DEEP: Final = f"it is nested deeper than {MAX_DEPTH} levels"


class MalformedJsonError(ValueError):
    """The text is not JSON, repeats a name in one object, or is nested too deep."""


class UnusableJsonError(ValueError):
    """The JSON holds a value that cannot be used; `where` is the path to it, with dots between names."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where


@dataclass(frozen=True, slots=True)
class _Location:
    """A value and the path to it."""

    value: object
    name: str | int
    parent: "_Location | None"
    depth: int

    @property
    def path(self) -> str:
        names: list[str] = []
        location = self
        while location.parent is not None:
            names.append(str(location.name))
            location = location.parent
        return ".".join(reversed(names)) or "the body"


def parse_json(raw: bytes) -> object:
    """Return the value of a JSON text in UTF-8.

    Raises:
        MalformedJsonError: the text is not JSON. NaN and Infinity are not JSON, and an object must not repeat a name.
        UnusableJsonError: a number is out of range, or a string is not Unicode text.
    """
    try:
        value: object = json.loads(
            raw.decode(),
            parse_constant=_reject_constant,
            parse_int=_parse_integer,
            object_pairs_hook=_unique_names,
        )
    except RecursionError:
        raise MalformedJsonError(_TOO_DEEP) from None
    except ValueError as error:
        raise MalformedJsonError(str(error)) from error
    _check(value)
    return value


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _parse_integer(text: str) -> int | float:
    """Return the integer, or infinity for one that is too large, as `float` does."""
    if len(text) > _MAX_INTEGER_DIGITS or abs(value := int(text)) > _MAX_INTEGER:
        return math.inf
    return value


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        count = Counter(name for name, _ in pairs)
        twice = json.dumps(max(count, key=lambda name: count[name]))[:_MAX_SHOWN]
        raise ValueError(f"the name {twice} stands twice in one object")
    return found


def _check(value: object) -> None:
    pending = [_Location(value, "", None, 0)]
    while pending:
        location = pending.pop()
        if location.depth > MAX_DEPTH:
            raise MalformedJsonError(_TOO_DEEP)
        if isinstance(location.value, str):
            _check_text(location.value, location)
        elif isinstance(location.value, float) and math.isinf(location.value):
            raise UnusableJsonError(location.path, "the number is too large")
        elif isinstance(location.value, dict):
            for name, inner in cast("dict[str, object]", location.value).items():
                _check_text(name, location)
                pending.append(_Location(inner, name, location, location.depth + 1))
        elif isinstance(location.value, list):
            items = cast("list[object]", location.value)
            pending.extend(_Location(inner, i, location, location.depth + 1) for i, inner in enumerate(items))


def _check_text(text: str, location: _Location) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnusableJsonError(location.path, "the text holds half a character (a lone surrogate)") from None
