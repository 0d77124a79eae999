"""Explains to devices what is wrong with their readings and byes.

This is slower than decoding, so it runs only for the rejected messages for which the device gets an error.
"""

import json
import math
import re
from typing import Any, Final, cast

import msgspec

from k1_contracts.messages.deploy.device_link import DeviceBye
from k1_platform.nats.device_errors import MessageError, parse_device_message
from k1_telemetry.fleet.effects import RejectedMessage
from k1_telemetry.fleet.readings import MAX_BYTES, MAX_READINGS, CheckedReading, to_reading

_FIELD: Final = re.compile(r"at `\$\.(\w+)`|field `(\w+)`")
_FLOAT_FIELDS: Final = ("ts", "drift_ms", "cpu_pct", "temp_c", "fps")


def explain(message: RejectedMessage) -> MessageError:
    """Return what is wrong with a message and how to correct it."""
    if message.kind == "telemetry":
        return _explain_readings(message.data)
    problem = check_bye(message.device_id, message.data)
    assert problem is not None
    return problem


def check_bye(device_id: str, data: bytes) -> MessageError | None:
    """Return what is wrong with a bye, or None; a wrong bye still takes the device offline."""
    bye = parse_device_message(DeviceBye, data)
    if isinstance(bye, MessageError):
        return bye
    if bye.id != device_id:
        return MessageError(
            "wrong_id", f"The credential is of {device_id}, but the bye names {bye.id}.", "id"
        )
    return None


def _explain_readings(data: bytes) -> MessageError:
    """Return what is wrong with a message that `readings.decode` did not accept completely."""
    if len(data) > MAX_BYTES:
        return MessageError("too_many", f"The message has {len(data)} bytes; send it in several.")
    try:
        parsed: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        return MessageError("invalid_json", f"The body is no JSON: {error}. Correct the message.")
    items = cast("list[Any]", parsed) if isinstance(parsed, list) else [parsed]
    if len(items) > MAX_READINGS:
        return MessageError(
            "too_many", f"{len(items)} readings; a message takes {MAX_READINGS}: send them sooner."
        )
    index = next((number for number, item in enumerate(items) if to_reading(item) is None), 0)
    problem = _explain_reading(items[index] if items else None)
    if not isinstance(parsed, list):
        return problem
    field = f"{index}.{problem.field}" if problem.field else str(index)
    return MessageError(problem.code, f"reading {index}: {problem.message}", field)


def _explain_reading(item: object) -> MessageError:
    """Return what is wrong with one reading, using the decoder that rejected it."""
    try:
        reading = msgspec.convert(item, CheckedReading)
    except (ValueError, RecursionError) as error:
        text = str(error)
        field = _FIELD.search(text)
        return MessageError(
            "invalid_field", f"{text}. Correct the reading.", field[1] or field[2] if field else None
        )
    wrong = [name for name in _FLOAT_FIELDS if not math.isfinite(getattr(reading, name))]
    message = f"{', '.join(wrong)}: JSON has no NaN and no Infinity. Leave the reading out."
    return MessageError("invalid_field", message, wrong[0] if wrong else None)
