"""Reads the beat annotations of a folder: `.json` with beats, positions, genre and level, or `.beats` as plain text."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
UNCERTAIN = "uncertain"
_NEEDED = "needs `beats`: at least two finite times in seconds, in rising order"


class DatasetError(ValueError):
    """A folder or an annotation cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Annotation:
    """The truth about one song. Times are in seconds; None means not annotated."""

    beats: Times
    downbeats: Times | None = None
    genre: str | None = None
    key: str | None = None
    level_uncertain: bool = False
    """Half the annotated tempo is as good an answer."""


def annotation_of(audio: Path) -> Path | None:
    """Return the annotation beside an audio file: `.json` before `.beats`; None if there is none."""
    beside = (audio.with_suffix(suffix) for suffix in (".json", ".beats"))
    return next((path for path in beside if path.is_file()), None)


def read_annotation(path: Path) -> Annotation:
    """Read an annotation file of either format.

    Raises:
        DatasetError: the file cannot be read, or its content is not an annotation.
    """
    parse = parse_json if path.suffix == ".json" else parse_beats
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read as UTF-8 text: {error}") from error


def parse_beats(text: str, where: str) -> Annotation:
    """Parse a `.beats` text: one line per beat, `seconds [position in bar]`; lines with # are comments.

    Raises:
        DatasetError: a line is not a number, or the times do not rise.
    """
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    try:
        values = [float(row[0]) for row in rows]
        positions = [int(float(row[1])) if len(row) > 1 else None for row in rows]
    except (ValueError, OverflowError) as error:
        raise DatasetError(f"{where}: each line is `seconds [position in bar]`: {error}") from error
    beats = _rising(values, where)
    return Annotation(beats, _downbeats(beats, positions))


def parse_json(text: str, where: str) -> Annotation:
    """Parse a JSON annotation.

    `beats` is required. `pos` is the place in the bar of each beat (1 is the downbeat); downbeats count as known only
    where every place is. `level` "uncertain" says that half the tempo is as good; `genre` and `key` are text.

    Raises:
        DatasetError: the text is not JSON, or a field has the wrong form.
    """
    try:
        fields: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: is not JSON: {error}. Mend or remove the file") from error
    if not isinstance(fields, dict):
        raise DatasetError(f"{where}: must be a JSON object; it {_NEEDED}")
    values: dict[str, Any] = cast(dict[str, Any], fields)
    beats = _rising(_list(values, "beats", _is_number, where) or [], where)
    positions = _list(values, "pos", _is_position, where)
    if positions is not None and len(positions) != len(beats):
        raise DatasetError(
            f"{where}: `pos` has {len(positions)} entries for {len(beats)} beats; give one each, or null"
        )
    return Annotation(
        beats,
        _downbeats(beats, positions),
        _text(values, "genre", where),
        _text(values, "key", where),
        _text(values, "level", where) == UNCERTAIN,
    )


def _list(fields: dict[str, Any], name: str, valid: Callable[[Any], bool], where: str) -> list[Any] | None:
    found: Any = fields.get(name)
    if found is None:
        return None
    if not _is_list(found):
        raise DatasetError(f"{where}: `{name}` must be a list or null")
    wrong = next((i for i, value in enumerate(found) if not valid(value)), None)
    if wrong is not None:
        raise DatasetError(
            f"{where}: `{name}`[{wrong}] is {found[wrong]!r:.40}, not a usable number; mend it"
        )
    return found


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_number(value: Any) -> bool:
    """Return whether a value fits a float: JSON has integers of any length, and Python reads NaN and Infinity."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _is_position(value: Any) -> bool:
    return value is None or (_is_number(value) and value >= 1 and value == int(value))


def _text(fields: dict[str, Any], name: str, where: str) -> str | None:
    found: Any = fields.get(name)
    if found is not None and not isinstance(found, str):
        raise DatasetError(f"{where}: `{name}` must be text or null")
    return (found or "").strip() or None


def _rising(values: list[float], where: str) -> Times:
    beats = np.array(values, float)
    if len(beats) < 2 or not np.all(np.isfinite(beats)) or not np.all(np.diff(beats) > 0):
        raise DatasetError(f"{where}: {_NEEDED}")
    return beats


def _downbeats(beats: Times, positions: Sequence[float | None] | None) -> Times | None:
    if positions is None or None in positions or 1 not in positions:
        return None
    return beats[np.array(positions) == 1]
