"""Reads beats from a file: lines of seconds with the position in the bar, as `k1 analyze` writes them, or JSON."""

import json
from pathlib import Path
from typing import Any, cast

from k1_cli.errors import CommandError
from k1_cli.json_types import JsonObject

_FIELDS = ("beats", "beats_ms", "downbeats")


def read_beats(path: Path) -> JsonObject:
    """Return the beats as the body of an override.

    A text file has one beat a line: seconds, then perhaps its position in the bar, of which 1 is a downbeat. JSON is an
    object with `beats` (seconds) or `beats_ms`, and perhaps `downbeats` (indices), or a list of seconds.

    Raises:
        CommandError: the file cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} holds no beats: it is not UTF-8 text") from error
    return _from_json(path, text) if text.lstrip()[:1] in {"{", "["} else _from_lines(path, text)


def _from_json(path: Path, text: str) -> JsonObject:
    try:
        document: Any = json.loads(text)
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}") from error
    if isinstance(document, list):
        return {"beats": cast("list[Any]", document)}
    return {name: value for name, value in document.items() if name in _FIELDS}


def _from_lines(path: Path, text: str) -> JsonObject:
    beats: list[float] = []
    positions: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        try:
            beats.append(float(fields[0]))
        except ValueError as error:
            raise CommandError(f"{path}, line {number}: {fields[0]!r} is no time in seconds") from error
        positions.append(fields[1] if len(fields) > 1 else "")
    found: JsonObject = {"beats": beats}
    if any(positions):
        found["downbeats"] = [index for index, position in enumerate(positions) if position == "1"]
    return found
