"""Formats values for people: no Python syntax, the right plural, one field per line; for every command."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from k1_contracts.escaping import escape_controls

_NOT_GIVEN: Final[tuple[object, ...]] = (None, "", [], {})
_FOREIGN_BYTES: Final = re.compile("[\udc80-\udcff]+")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f]+")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def readable(text: str) -> str:
    """Return the text of an argument or a file name as proper Unicode.

    Bytes that are not UTF-8 are decoded as Windows-1252, the usual encoding of such names: a byte E9 is an `é`.
    """
    known = _FOREIGN_BYTES.sub(lambda found: _from_windows(found[0]), text)
    return _SURROGATES.sub("\ufffd", known)


def one_line(text: str | Path) -> str:
    r"""Return a title, a name or a path for use within a line: readable, with line feeds written as `\n`."""
    return escape_controls(readable(str(text)))


def form_file_name(file: Path) -> str:
    """Return the name of a file for a form field: readable, and without control characters."""
    return _CONTROLS.sub(" ", readable(file.name))


def count_of(count: int, thing: str, things: str | None = None) -> str:
    """Return `1 track` or `2 tracks`; give `things` where the plural is not formed with an s."""
    return f"{count} {thing if count == 1 else things or f'{thing}s'}"


def display_name(name: str) -> str:
    """Return `rolled back` for `rolled_back`."""
    return name.replace("_", " ")


def cut_middle(name: str, longest: int) -> str:
    """Return `k1-st…-0042`: cut in the middle, because names of devices differ at their ends."""
    if len(name) <= longest:
        return name
    ending = (longest - 1) // 2
    return f"{name[: longest - 1 - ending]}…{name[len(name) - ending :]}"


def format_value(value: object) -> str:
    """Return `yes` or `no` for a boolean, the items of a list separated by commas, else the text of the value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(format_value(item) for item in cast("list[object]", value))
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return ", ".join(f"{name} {format_value(item)}" for name, item in pairs if item not in _NOT_GIVEN)
    return str(value)


def field_lines(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield `name: value` for every field with a value; for those of an inner object `outer.name: value`."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from field_lines(cast("Mapping[str, Any]", value), f"{prefix}{name}.")
        elif not any(value is empty or value == empty for empty in _NOT_GIVEN):
            yield f"{prefix}{name}: {format_value(value)}"


def _from_windows(foreign: str) -> str:
    return foreign.encode("ascii", "surrogateescape").decode("cp1252", "replace")
