"""JSON from strangers: what the grammar allows and no service can use is refused here, with its place. Pure."""

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

DEEPEST: Final = 64
_LARGEST_INTEGER: Final = 2**63 - 1
_LONGEST_INTEGER: Final = 20
_SHOWN: Final = 40
_TOO_DEEP: Final = f"it is nested deeper than {DEEPEST} levels"


class MalformedJsonError(ValueError):
    """The text is not JSON, says something twice, or is nested too deep."""


class UnusableJsonError(ValueError):
    """The text is JSON with a value that cannot be used; `where` is its place, with dots between names."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where


@dataclass(frozen=True, slots=True)
class _Place:
    """A value and the way to it."""

    value: object
    name: str | int
    inside: "_Place | None"
    depth: int

    @property
    def path(self) -> str:
        names: list[str] = []
        place = self
        while place.inside is not None:
            names.append(str(place.name))
            place = place.inside
        return ".".join(reversed(names)) or "the body"


def parse_json(raw: bytes) -> object:
    """Return the value of a JSON text in UTF-8.

    Raises:
        MalformedJsonError: it is none: NaN and Infinity are not JSON, and a name may stand only once in an object.
        UnusableJsonError: a number is out of range, or a string is no Unicode text.
    """
    try:
        value: object = json.loads(
            raw.decode(), parse_constant=_no_constant, parse_int=_integer, object_pairs_hook=_unique
        )
    except RecursionError:
        raise MalformedJsonError(_TOO_DEEP) from None
    except ValueError as error:
        raise MalformedJsonError(str(error)) from error
    _check(value)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _integer(text: str) -> int | float:
    """Infinity stands for an integer that is too large, as it does for a float."""
    if len(text) > _LONGEST_INTEGER or abs(value := int(text)) > _LARGEST_INTEGER:
        return math.inf
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        count = Counter(name for name, _ in pairs)
        twice = json.dumps(max(count, key=lambda name: count[name]))[:_SHOWN]
        raise ValueError(f"the name {twice} stands twice in one object")
    return found


def _check(value: object) -> None:
    waiting = [_Place(value, "", None, 0)]
    while waiting:
        place = waiting.pop()
        if place.depth > DEEPEST:
            raise MalformedJsonError(_TOO_DEEP)
        if isinstance(place.value, str):
            _check_text(place.value, place)
        elif isinstance(place.value, float) and math.isinf(place.value):
            raise UnusableJsonError(place.path, "the number is too large")
        elif isinstance(place.value, dict):
            for name, inner in cast("dict[str, object]", place.value).items():
                _check_text(name, place)
                waiting.append(_Place(inner, name, place, place.depth + 1))
        elif isinstance(place.value, list):
            items = cast("list[object]", place.value)
            waiting.extend(_Place(inner, i, place, place.depth + 1) for i, inner in enumerate(items))


def _check_text(text: str, place: _Place) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnusableJsonError(place.path, "the text holds half a character (a lone surrogate)") from None
