"""Makes a dead letter from a failed delivery and publishes it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header, decode_header
from typing import Final

from nats.aio.client import Client

from k1_contracts import streams, subjects
from k1_contracts.base import rfc3339
from k1_contracts.escaping import escape_controls

HEADER_PREFIX: Final = "k1-dlq-"
_SENDABLE_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""The header names that can be sent. Other headers are dropped, because they must not stop the dead letter."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a delivery failed."""

    code: str
    message: str
    permanent: bool
    attempts_allowed: int


def dead_letter_id(stream: str, durable: str, sequence: int) -> str:
    """Return the message id. Middleware and relay use the same id, so that one message becomes one dead letter."""
    return f"dlq:{stream}:{durable}:{sequence}"


def text_headers(headers: Mapping[str, str | Header]) -> dict[str, str]:
    """Return the values as text; nats-py returns values of stored messages that are not ASCII as `Header`."""
    return {name: value if isinstance(value, str) else _header_text(value) for name, value in headers.items()}


def _header_text(value: Header) -> str:
    raw = b"".join(part if isinstance(part, bytes) else part.encode() for part, _ in decode_header(value))
    return raw.decode(errors="replace")


async def publish_dead_letter(
    client: Client,
    *,
    data: bytes,
    headers: Mapping[str, str],
    origin: tuple[str, str, int, str],
    failure: Failure,
    attempts: int,
    to: tuple[str, str] | None = None,
) -> None:
    """Publish a copy of a message on the dead-letter stream, or on another stream of its kind.

    `origin`: stream, durable, sequence, subject. `to`: the other stream and the subject there.
    """
    stream, durable, sequence, subject = origin
    to_stream, to_subject = to or (streams.DEAD_LETTERS, subjects.dead_letter(stream, durable))
    fields = {
        "stream": stream,
        "durable": durable,
        "sequence": str(sequence),
        "subject": subjects.original(subject),
        "code": failure.code,
        # A header is one line of UTF-8.
        "reason": escape_controls(" ".join(failure.message.split()))[:1000],
        "attempts": str(attempts),
        "at": rfc3339(datetime.now(UTC)),
    }
    kept = {
        name: value
        for name, value in text_headers(headers).items()
        if _SENDABLE_NAME.fullmatch(name) and not name.startswith((HEADER_PREFIX, "Nats-"))
    }
    all_headers = kept | {HEADER_PREFIX + name: value for name, value in fields.items()}
    all_headers["Nats-Msg-Id"] = dead_letter_id(stream, durable, sequence)
    await client.jetstream().publish(to_subject, data, headers=all_headers, stream=to_stream, timeout=5)
