"""Makes the subjects that no single descriptor owns: those of the device link by verb, and those of dead letters.

The subject of each message stands in its descriptor, in `k1_contracts.messages`.
"""

from typing import Final

HIGHEST_PRIORITY: Final = 10
LOWEST_PRIORITY: Final = 1
PRIORITIES: Final = range(HIGHEST_PRIORITY, LOWEST_PRIORITY - 1, -1)
"""Highest first: the order in which a worker looks for its next job."""

DEVICE_ERROR_VERB: Final = "error"
"""After `command.<id>.`: what was wrong with a message of the device."""
DEAD_LETTERS: Final = "dlq"
QUARANTINE: Final = "quarantine"
REDRIVEN: Final = "redrive."
"""The beginning of the subjects on which dead letters come back."""


def command(device_id: str, verb: str) -> str:
    """Return the subject of a command to one device. `chunk` is the response to its fetch, `error` a report of a fault."""
    return f"command.{device_id}.{verb}"


def device(device_id: str, kind: str) -> str:
    """Return the subject of a message from one device; `kind` is `hello`, `bye`, `reply` or `fetch`."""
    return f"device.{device_id}.{kind}"


def dead_letter(stream: str, durable: str) -> str:
    """Return the subject of the dead letters of a durable."""
    return f"{DEAD_LETTERS}.{stream}.{durable}"


def quarantine(subject: str) -> str:
    """Return the subject on which the bad samples of a telemetry message are kept."""
    return f"{QUARANTINE}.{subject}"


def redrive(durable: str, subject: str) -> str:
    """Return the subject on which only the durable that failed receives a dead letter again."""
    return f"{REDRIVEN}{durable}.{subject}"


def original(subject: str) -> str:
    """Return the subject on which a message was first published, also when it was redriven."""
    return subject.split(".", 2)[2] if subject.startswith(REDRIVEN) else subject
