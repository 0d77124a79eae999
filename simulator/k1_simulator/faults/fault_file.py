"""Reads faults from a YAML file.

faults:
  - {devices: "k1-sim-00*", share: 0.1, fault: drop_at, byte: 20000}
  - {devices: k1-sim-0007, fault: offline, step: activate, for_s: 30, repeat: always}
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from k1_simulator.faults.models import FaultPlan


class FaultFileError(Exception):
    """A fault file cannot be used; the message says where and why."""


def load_faults(path: Path) -> FaultPlan:
    """Return the faults in a file.

    Raises:
        FaultFileError: the file cannot be read, or contains an unknown fault.
    """
    try:
        return parse_faults(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise FaultFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise FaultFileError(
            f"{path} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
        ) from error


def parse_faults(text: str, name: str = "faults") -> FaultPlan:
    """Return the faults in a text; `name` comes before the line numbers of errors. Raises as `load_faults`."""
    try:
        node: Any = yaml.compose(text, yaml.SafeLoader)
        value: object = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FaultFileError(f"{name} is no YAML: {error}") from error
    try:
        return FaultPlan.model_validate({} if value is None else value)
    except ValidationError as error:
        wrong = [_sentence(name, node, found["loc"], found["msg"]) for found in error.errors()]
        raise FaultFileError("\n".join(wrong)) from error


def _sentence(name: str, node: Any, location: Sequence[str | int], message: str) -> str:
    found, words = node, list[str]()
    for part in location:
        inner = _child(found, part)
        if inner is not None:
            found = inner
        elif part is not location[-1]:
            continue  # the kind of fault, which pydantic inserts
        words.append(str(part))
    where = f" {'.'.join(words)}:" if words else ""
    return f"{name}, line {found.start_mark.line + 1}:{where} {message}"


def _child(node: Any, part: str | int) -> Any:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        items = cast("list[Any]", node.value)
        return items[part] if part < len(items) else None
    if isinstance(node, yaml.MappingNode):
        pairs = cast("list[tuple[Any, Any]]", node.value)
        return next((value for key, value in pairs if key.value == part), None)
    return None
