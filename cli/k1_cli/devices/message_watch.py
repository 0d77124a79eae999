"""Shows the messages between a device and the services live, rejected ones included; for `k1 devices watch`."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.base import rfc3339
from k1_contracts.messages.telemetry import DEVICE_ALARM, DEVICE_OFFLINE, DEVICE_ONLINE, DEVICE_READINGS

_EVENTS: Final = (DEVICE_ONLINE.subject, DEVICE_OFFLINE.subject, DEVICE_ALARM.subject)
_MAX_LENGTH: Final = 200
_SUMMARY_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "hello": ("firmware", "model", "flash_free_bytes", "active", "staged"),
    "bye": ("reason",),
    "reply": ("verb", "status", "code", "received_bytes", "message"),
    "fetch": ("offset", "length"),
    "telemetry": ("seq", "track_id", "drift_ms", "fps", "temp_c", "error"),
    "stage": ("size", "command_id"),
    "activate": ("at_ms", "command_id"),
    "deactivate": ("restore", "command_id"),
    "discard": ("bundle_sha256", "command_id"),
    "chunk": ("offset", "length", "error"),
    "error": ("subject", "field", "message", "suppressed"),
    "device.alarm": ("kind", "level", "state", "reason"),
    "device.offline": ("reason",),
}
"""The fields that a line shows, by kind of message; for other kinds `command_id`."""


@dataclass(frozen=True, slots=True)
class ObservedMessage:
    """A message from, to or about the device."""

    at: datetime
    direction: str
    """`from`: the device sent it; `to`: the device receives it; `about`: the services report about the device."""
    kind: str
    subject: str
    body: Any
    """The JSON document; None where the message is no JSON."""
    size: int
    skipped: int = field(default=0)
    """Messages with readings that were left out since the last one that was shown."""

    @property
    def refused(self) -> bool:
        """Return whether it is an error, or no JSON at all."""
        return self.kind == "error" or self.body is None

    def to_json(self) -> dict[str, Any]:
        """Return the message as JSON for a script."""
        fields: dict[str, Any] = {"at": rfc3339(self.at), "direction": self.direction, "kind": self.kind}
        return fields | {"subject": self.subject, "bytes": self.size, "body": self.body}

    def to_line(self) -> str:
        """Return a line for a person: time, direction, kind and the most important fields."""
        arrow = {"from": "<-", "to": "->", "about": "--"}[self.direction]
        more = f"  (+{self.skipped} readings)" if self.skipped else ""
        return f"{self.at:%H:%M:%S.%f}"[:12] + f" {arrow} {self.kind:<14} {self._summary()}{more}"

    def _summary(self) -> str:
        if self.body is None:
            return f"no JSON, {self.size} bytes"
        newest = self.body[-1] if isinstance(self.body, list) and self.body else self.body
        if not isinstance(newest, dict):
            return _short(newest)
        names = _SUMMARY_FIELDS.get(self.kind, ("command_id",))
        return "  ".join(f"{name} {_short(newest[name])}" for name in names if newest.get(name) is not None)


class ReadingThrottle:
    """Passes one message with readings per second and counts the others."""

    def __init__(self) -> None:
        self._passed_at: datetime | None = None
        self._skipped = 0

    def apply(self, message: ObservedMessage) -> ObservedMessage | None:
        """Return the message with the number of those skipped before it; None when it is skipped itself."""
        if message.kind != "telemetry" or message.body is None:
            return message
        if self._passed_at and (message.at - self._passed_at).total_seconds() < 1:
            self._skipped += 1
            return None
        passed = ObservedMessage(
            message.at,
            message.direction,
            message.kind,
            message.subject,
            message.body,
            message.size,
            self._skipped,
        )
        self._passed_at, self._skipped = message.at, 0
        return passed


def parse_message(device_id: str, subject: str, data: bytes, at: datetime) -> ObservedMessage | None:
    """Return the received message in the form that is shown; None when it is about another device."""
    head, _, rest = subject.partition(".")
    # Only the header of a chunk is text.
    body = _json(data.partition(b"\n")[0] if rest == f"{device_id}.chunk" else data)
    if subject in _EVENTS:
        about = body.get("device_id") if isinstance(body, dict) else None
        return ObservedMessage(at, "about", subject, subject, body, len(data)) if about == device_id else None
    if head == "telemetry":
        return ObservedMessage(at, "from", head, subject, body, len(data))
    direction, kind = "to" if head == "command" else "from", rest.rpartition(".")[2]
    return ObservedMessage(at, direction, kind if kind.isprintable() else "?", subject, body, len(data))


@asynccontextmanager
async def watch_messages(
    client: Client, device_id: str, show: Callable[[ObservedMessage], None]
) -> AsyncGenerator[None]:
    """Call `show` with every message of, to and about a device while the block runs."""

    async def handle(received: Msg) -> None:
        found = parse_message(device_id, received.subject, received.data, datetime.now(UTC))
        if found is not None:
            show(found)

    subjects_of_device = (
        subjects.device(device_id, "*"),
        DEVICE_READINGS.subject_for(device_id),
        subjects.command(device_id, ">"),
    )
    subscriptions = [
        await client.subscribe(subject, cb=handle) for subject in (*subjects_of_device, *_EVENTS)
    ]
    await client.flush()
    try:
        yield
    finally:
        for subscription in subscriptions:
            await subscription.unsubscribe()


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _short(value: Any) -> str:
    if isinstance(value, dict) and "bundle_sha256" in value:
        value = value["bundle_sha256"]
    if isinstance(value, list):
        return f"[{len(value)}]"
    # A message must not move the cursor or change the colours of the terminal.
    text = value if isinstance(value, str) and value.isprintable() else json.dumps(value)
    if len(text) == len("0" * 64) and text.isalnum():
        return f"{text[:8]}…"
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"
