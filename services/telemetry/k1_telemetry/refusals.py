"""What is wrong with messages that devices sent to telemetry; slow, so only for those that get an error."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import msgspec

from k1_contracts import subjects
from k1_contracts.devices import DeviceBye
from k1_platform.device_errors import Problem, read
from k1_telemetry.readings import LONGEST_BYTES, MOST_READINGS, Reading, convert

_FIELD: Final = re.compile(r"at `\$\.(\w+)`|field `(\w+)`")
_NUMBERS: Final = ("ts", "drift_ms", "cpu_pct", "temp_c", "fps")


@dataclass(frozen=True, slots=True)
class Refused:
    """A message in which something is wrong."""

    device_id: str
    kind: Literal["telemetry", "bye"]
    data: bytes

    @property
    def subject(self) -> str:
        """Where the device sent it."""
        if self.kind == "telemetry":
            return subjects.telemetry(self.device_id)
        return subjects.device(self.device_id, self.kind)


def explain(message: Refused) -> Problem:
    """Return what is wrong with a message and what to do."""
    if message.kind == "telemetry":
        return _explain_readings(message.data)
    problem = wrong_bye(message.device_id, message.data)
    assert problem is not None
    return problem


def wrong_bye(device_id: str, data: bytes) -> Problem | None:
    """Return what is wrong with a bye, which counts all the same; None when it is right."""
    bye = read(DeviceBye, data)
    if isinstance(bye, Problem):
        return bye
    if bye.id != device_id:
        return Problem("wrong_id", f"The credential is of {device_id}, but the bye names {bye.id}.", "id")
    return None


def _explain_readings(data: bytes) -> Problem:
    """Return what is wrong with a message that `readings.decode` did not take whole."""
    if len(data) > LONGEST_BYTES:
        return Problem("too_many", f"The message has {len(data)} bytes; send it in several.")
    try:
        parsed: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        return Problem("invalid_json", f"The body is no JSON: {error}. Correct the message.")
    items = cast("list[Any]", parsed) if isinstance(parsed, list) else [parsed]
    if len(items) > MOST_READINGS:
        return Problem(
            "too_many", f"{len(items)} readings; a message takes {MOST_READINGS}: send them sooner."
        )
    index = next((number for number, item in enumerate(items) if convert(item) is None), 0)
    problem = _explain_reading(items[index] if items else None)
    if not isinstance(parsed, list):
        return problem
    field = f"{index}.{problem.field}" if problem.field else str(index)
    return Problem(problem.code, f"reading {index}: {problem.message}", field)


def _explain_reading(item: object) -> Problem:
    """By the same decoder that refused it."""
    try:
        reading = msgspec.convert(item, Reading)
    except (ValueError, RecursionError) as error:
        text = str(error)
        field = _FIELD.search(text)
        return Problem(
            "invalid_field", f"{text}. Correct the reading.", field[1] or field[2] if field else None
        )
    wrong = [name for name in _NUMBERS if not math.isfinite(getattr(reading, name))]
    message = f"{', '.join(wrong)}: JSON has no NaN and no Infinity. Leave the reading out."
    return Problem("invalid_field", message, wrong[0] if wrong else None)
