"""What happens to a message whose handler failed.

Worth another try: it comes back after a growing pause. Hopeless, or tried too often: its
original bytes, headers and the reason go to the dead-letter stream, then it is terminated.
When even that is not possible (the process died), the broker's own advisory is the backstop:
see `dead_letter_relay`.
"""

import logging
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header, decode_header
from types import TracebackType
from typing import Any, Final

from faststream import BaseMiddleware, ContextRepo
from faststream.exceptions import HandlerException, NackMessage, RejectMessage
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError
from typing_extensions import override

from k1_contracts import streams, subjects
from k1_contracts.base import rfc3339
from k1_contracts.durables import DURABLES
from k1_contracts.escaping import escape_controls
from k1_platform.errors import PermanentError, TransientError

HEADER_PREFIX: Final = "k1-dlq-"
_SENDABLE_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""Names of headers that can be sent on; a sender may have used others, and the letter must get through."""
UNEXPECTED_ATTEMPTS: Final = 5
"""A failure nobody foresaw is most likely a bug: five tries tell."""
_LONGEST_PAUSE_S: Final = 60.0

_log = logging.getLogger(__name__)
_max_deliver: Final = {durable.name: durable.max_deliver for durable in DURABLES}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a delivery failed."""

    code: str
    message: str
    permanent: bool
    attempts_allowed: int


def classify(error: BaseException, transient: tuple[type[Exception], ...], max_deliver: int) -> Failure:
    """Decide whether the message may succeed later, and how often to try."""
    if isinstance(error, PermanentError):
        return Failure(error.code, str(error), permanent=True, attempts_allowed=1)
    if isinstance(error, ValidationError):
        where = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()[:5])
        return Failure("invalid_message", where, permanent=True, attempts_allowed=1)
    if isinstance(error, (TransientError, OSError, TimeoutError, NatsError, *transient)):
        return Failure("dependency_failed", repr(error), permanent=False, attempts_allowed=max_deliver)
    return Failure(
        "unexpected_error",
        repr(error),
        permanent=False,
        attempts_allowed=min(UNEXPECTED_ATTEMPTS, max_deliver),
    )


def pause_before_retry(attempt: int, rng: random.Random) -> float:
    """Seconds until the next delivery: exponential from 0.2 s to a minute, with jitter."""
    return min(_LONGEST_PAUSE_S, 0.2 * 2 ** min(attempt - 1, 16)) * rng.uniform(0.7, 1.3)


def dead_letter_id(stream: str, durable: str, sequence: int) -> str:
    """The same for the middleware and the relay, so that one dead message is one dead letter."""
    return f"dlq:{stream}:{durable}:{sequence}"


def text_headers(headers: Mapping[str, str | Header]) -> dict[str, str]:
    """Return the values as text: those of a stored message that are not ASCII come from nats-py as `Header`."""
    return {name: value if isinstance(value, str) else _header_text(value) for name, value in headers.items()}


def _header_text(value: Header) -> str:
    raw = b"".join(part if isinstance(part, bytes) else part.encode() for part, _ in decode_header(value))
    return raw.decode(errors="replace")


async def bury(
    client: Client,
    *,
    data: bytes,
    headers: Mapping[str, str],
    origin: tuple[str, str, int, str],
    failure: Failure,
    attempts: int,
) -> None:
    """Put a copy of a message on the dead-letter stream; `origin` is stream, durable, sequence, subject."""
    stream, durable, sequence, subject = origin
    about = {
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
    marked = kept | {HEADER_PREFIX + name: value for name, value in about.items()}
    marked["Nats-Msg-Id"] = dead_letter_id(stream, durable, sequence)
    await client.jetstream().publish(
        subjects.dead_letter(stream, durable),
        data,
        headers=marked,
        stream=streams.DEAD_LETTERS,
        timeout=5,
    )


class DeadLetterMiddleware:
    """Builds the middleware of each message; hand it to the broker."""

    def __init__(self, *, service: str, transient: tuple[type[Exception], ...] = ()) -> None:
        self._service = service
        self._transient = transient
        self._rng = random.Random()  # noqa: S311  jitter is no secret

    def __call__(self, msg: Any, /, *, context: ContextRepo) -> "_MessageMiddleware":
        return _MessageMiddleware(msg, context=context, transient=self._transient, rng=self._rng)


class _MessageMiddleware(BaseMiddleware[Any, Any]):
    def __init__(
        self, msg: Any, /, *, context: ContextRepo, transient: tuple[type[Exception], ...], rng: random.Random
    ) -> None:
        super().__init__(msg, context=context)
        self._transient = transient
        self._rng = rng

    @override
    async def after_processed(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> bool | None:
        message: Any = self.msg
        expected = exc_val is None or isinstance(exc_val, HandlerException)
        if expected or not isinstance(exc_val, Exception) or not _from_stream(message):
            return False
        raise await self._verdict(message, exc_val)

    async def _verdict(self, message: Msg, error: Exception) -> HandlerException:
        metadata = message.metadata
        failure = classify(error, self._transient, _max_deliver.get(metadata.consumer, 1))
        attempts = metadata.num_delivered
        origin = (metadata.stream, metadata.consumer, metadata.sequence.stream, message.subject)
        if attempts < failure.attempts_allowed:
            pause = pause_before_retry(attempts, self._rng)
            _log.warning(
                "delivery failed, trying again",
                extra={"origin": origin, "code": failure.code, "reason": failure.message, "pause_s": pause},
            )
            return NackMessage(delay=pause)
        _log.error(
            "message given up",
            extra={"origin": origin, "code": failure.code, "reason": failure.message},
            exc_info=error,
        )
        try:
            await bury(
                message._client,  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the message's own connection
                data=message.data,
                headers=message.headers or {},
                origin=origin,
                failure=failure,
                attempts=attempts,
            )
        except (NatsError, OSError, TimeoutError):
            # Not buried, so not terminated: it comes back, or the advisory's relay finds it.
            return NackMessage(delay=pause_before_retry(attempts, self._rng))
        return RejectMessage()


def _from_stream(message: Any) -> bool:
    return isinstance(message, Msg) and (message.reply or "").startswith("$JS.ACK.")
