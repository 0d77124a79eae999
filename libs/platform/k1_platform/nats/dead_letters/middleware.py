"""Decides about each message whose handler failed: redeliver it, or publish it as a dead letter.

After a transient error the message is redelivered after a growing pause. After a permanent error, or too many attempts,
its bytes and headers are published on the dead-letter stream with the reason, then the message is terminated. If the
process dies before that, the broker publishes an advisory, and the relay makes the dead letter (see `relay.py`).
"""

import logging
import random
from types import TracebackType
from typing import Any, Final

from faststream import BaseMiddleware, ContextRepo
from faststream.exceptions import HandlerException, NackMessage, RejectMessage
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError
from typing_extensions import override

from k1_contracts.durables import DURABLES
from k1_platform.errors import PermanentError, TransientError
from k1_platform.nats.dead_letters.message import Failure, publish_dead_letter
from k1_platform.nats.jetstream_api import is_delivery
from k1_platform.processes.backoff import BackoffSchedule

UNEXPECTED_ATTEMPTS: Final = 5
"""An unexpected error is most likely a bug, which more attempts do not fix."""
REDELIVERY_BACKOFF: Final = BackoffSchedule(first_s=0.2, max_s=60.0, jitter=(0.7, 1.3))
"""The pauses before the next delivery of a message."""

_log = logging.getLogger(__name__)
_max_deliver: Final = {durable.name: durable.max_deliver for durable in DURABLES}


def classify(error: BaseException, transient: tuple[type[Exception], ...], max_deliver: int) -> Failure:
    """Return whether the message may succeed later, and after how many attempts to give up."""
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


class DeadLetterMiddleware:
    """Makes the middleware of each message; a middleware of the broker."""

    def __init__(self, *, service: str, transient: tuple[type[Exception], ...] = ()) -> None:
        self._service = service
        self._transient = transient
        self._rng = random.Random()  # noqa: S311  jitter needs no secure random numbers

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
        raise await self._decide(message, exc_val)

    async def _decide(self, message: Msg, error: Exception) -> HandlerException:
        metadata = message.metadata
        failure = classify(error, self._transient, _max_deliver.get(metadata.consumer, 1))
        attempts = metadata.num_delivered
        origin = (metadata.stream, metadata.consumer, metadata.sequence.stream, message.subject)
        if attempts < failure.attempts_allowed:
            pause = REDELIVERY_BACKOFF.pause_s(attempts, self._rng)
            _log.warning(
                "delivery failed; the message will be redelivered",
                extra={"origin": origin, "code": failure.code, "reason": failure.message, "pause_s": pause},
            )
            return NackMessage(delay=pause)
        _log.error(
            "message becomes a dead letter",
            extra={"origin": origin, "code": failure.code, "reason": failure.message},
            exc_info=error,
        )
        try:
            await publish_dead_letter(
                message._client,  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the connection of the message
                data=message.data,
                headers=message.headers or {},
                origin=origin,
                failure=failure,
                attempts=attempts,
            )
        except (NatsError, OSError, TimeoutError):
            # The dead letter is not stored, so the message is not terminated: it is redelivered, or the relay finds it.
            return NackMessage(delay=REDELIVERY_BACKOFF.pause_s(attempts, self._rng))
        return RejectMessage()


def _from_stream(message: Any) -> bool:
    return isinstance(message, Msg) and is_delivery(message)
