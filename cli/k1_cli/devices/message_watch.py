"""`k1 devices watch`: what a device and the services say to each other, live, and what is refused."""

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

_EVENTS: Final = (subjects.DEVICE_ONLINE, subjects.DEVICE_OFFLINE, subjects.DEVICE_ALARM)
_LONGEST: Final = 200
_SUMMARY: Final[dict[str, tuple[str, ...]]] = {
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
"""The fields of each message that a line shows; of others `command_id`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A message of or to the device."""

    at: datetime
    direction: str
    """`from`: the device sent it; `to`: it is for the device; `about`: the services tell of it."""
    kind: str
    subject: str
    body: Any
    """JSON; None when it is none."""
    size: int
    more: int = field(default=0)
    """Readings since the line before that were left out."""

    @property
    def refused(self) -> bool:
        """Whether it is an error, or no JSON at all."""
        return self.kind == "error" or self.body is None

    def to_json(self) -> dict[str, Any]:
        """For a script."""
        fields: dict[str, Any] = {"at": rfc3339(self.at), "direction": self.direction, "kind": self.kind}
        return fields | {"subject": self.subject, "bytes": self.size, "body": self.body}

    def to_line(self) -> str:
        """For a person: when, which way, what, and the fields that matter."""
        arrow = {"from": "<-", "to": "->", "about": "--"}[self.direction]
        more = f"  (+{self.more} readings)" if self.more else ""
        return f"{self.at:%H:%M:%S.%f}"[:12] + f" {arrow} {self.kind:<14} {self._summary()}{more}"

    def _summary(self) -> str:
        if self.body is None:
            return f"no JSON, {self.size} bytes"
        newest = self.body[-1] if isinstance(self.body, list) and self.body else self.body
        if not isinstance(newest, dict):
            return _short(newest)
        names = _SUMMARY.get(self.kind, ("command_id",))
        return "  ".join(f"{name} {_short(newest[name])}" for name in names if newest.get(name) is not None)


class ReadingThrottle:
    """Lets one message of readings a second pass; counts the others."""

    def __init__(self) -> None:
        self._passed_at: datetime | None = None
        self._left_out = 0

    def take(self, seen: Seen) -> Seen | None:
        """Return the message with what was left out before it; None when it is left out."""
        if seen.kind != "telemetry" or seen.body is None:
            return seen
        if self._passed_at and (seen.at - self._passed_at).total_seconds() < 1:
            self._left_out += 1
            return None
        passed = Seen(seen.at, seen.direction, seen.kind, seen.subject, seen.body, seen.size, self._left_out)
        self._passed_at, self._left_out = seen.at, 0
        return passed


def seen(device_id: str, subject: str, data: bytes, at: datetime) -> Seen | None:
    """Return a message as it is shown; None when it is about another device."""
    head, _, rest = subject.partition(".")
    # Of a chunk only the header is text.
    body = _json(data.partition(b"\n")[0] if rest == f"{device_id}.chunk" else data)
    if subject in _EVENTS:
        about = body.get("device_id") if isinstance(body, dict) else None
        return Seen(at, "about", subject, subject, body, len(data)) if about == device_id else None
    if head == "telemetry":
        return Seen(at, "from", head, subject, body, len(data))
    direction, kind = "to" if head == "command" else "from", rest.rpartition(".")[2]
    return Seen(at, direction, kind if kind.isprintable() else "?", subject, body, len(data))


@asynccontextmanager
async def watching(client: Client, device_id: str, show: Callable[[Seen], None]) -> AsyncGenerator[None]:
    """Call `show` with every message of, to and about a device while the block runs."""

    async def take(message: Msg) -> None:
        found = seen(device_id, message.subject, message.data, datetime.now(UTC))
        if found is not None:
            show(found)

    watched = (
        subjects.device(device_id, "*"),
        subjects.telemetry(device_id),
        subjects.command(device_id, ">"),
    )
    subscriptions = [await client.subscribe(subject, cb=take) for subject in (*watched, *_EVENTS)]
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
    # What a device sends must not move the cursor or colour the terminal of who watches.
    text = value if isinstance(value, str) and value.isprintable() else json.dumps(value)
    if len(text) == len("0" * 64) and text.isalnum():
        return f"{text[:8]}…"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
