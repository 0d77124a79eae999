"""Keeps the answers to changes in the key-value bucket ANSWERS, so that a repeated request changes nothing again.

An entry is made before the change and holds the answer afterwards. Its state without an answer says that the first
request still runs, or that its gateway ended meanwhile; after a time another request may take its place.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

from k1_contracts import streams
from k1_contracts.base import Contract
from k1_gateway.errors import ProblemError
from k1_gateway.repeats.sealing import Answer, RepeatKey

MAX_SEALED_BYTES: Final = 256 * 1024
"""A larger answer is not kept, so that a repeated request runs again."""
_RETRY: Final = {"Retry-After": "1"}


class _Entry(Contract):
    fingerprint: str
    until_s: float
    """Until when the first request may still run, in seconds since the epoch."""
    answer: str | None = None
    """Sealed, in Base64."""


@dataclass(frozen=True, slots=True)
class Place:
    """The right to make the change of a key."""

    key: RepeatKey
    fingerprint: str
    revision: int


@dataclass(frozen=True, slots=True)
class AnswerStore:
    """The bucket. Every method raises ProblemError `service_unavailable` (503) while it cannot be reached."""

    jetstream: JetStreamContext
    clock: Callable[[], float]
    """Returns seconds since the epoch."""

    async def begin(self, key: RepeatKey, fingerprint: str, within_s: float) -> Place | Answer:
        """Return the place of a first request, or the answer that it got.

        Raises:
            ProblemError: `idempotency_key_reused` (422): the key belongs to another request; `request_in_progress`
                (409): the first request with this key still runs.
        """
        entry = _Entry(fingerprint=fingerprint, until_s=self.clock() + within_s)
        with _problem_when_unreachable():
            bucket = await self.jetstream.key_value(streams.ANSWERS.name)
            try:
                return Place(key, fingerprint, await bucket.create(key.name, entry.to_json()))
            except KeyWrongLastSequenceError:
                pass
            try:
                found = await bucket.get(key.name)
            except KeyNotFoundError:
                raise _in_progress() from None  # it failed at this moment
            earlier = _Entry.model_validate_json(found.value or b"")
            if earlier.fingerprint != fingerprint:
                raise _reused()
            if earlier.answer is not None:
                return key.open(b64decode(earlier.answer))
            if earlier.until_s > self.clock():
                raise _in_progress()
            try:
                revision = await bucket.update(key.name, entry.to_json(), last=found.revision)
            except KeyWrongLastSequenceError:
                raise _in_progress() from None
        return Place(key, fingerprint, revision)

    async def finish(self, place: Place, answer: Answer) -> None:
        """Keep the answer, unless it is too large."""
        sealed = place.key.seal(answer)
        if len(sealed) > MAX_SEALED_BYTES:
            await self.abandon(place)
            return
        text = b64encode(sealed).decode("ascii")
        entry = _Entry(fingerprint=place.fingerprint, until_s=self.clock(), answer=text)
        with _problem_when_unreachable():
            bucket = await self.jetstream.key_value(streams.ANSWERS.name)
            await bucket.update(place.key.name, entry.to_json(), last=place.revision)

    async def abandon(self, place: Place) -> None:
        """Let the next request with the key try again."""
        with _problem_when_unreachable():
            bucket = await self.jetstream.key_value(streams.ANSWERS.name)
            await bucket.delete(place.key.name, last=place.revision)


def _in_progress() -> ProblemError:
    detail = "The first request with this Idempotency-Key still runs; ask again in a moment for its answer."
    return ProblemError("request_in_progress", HTTPStatus.CONFLICT, detail, headers=_RETRY)


def _reused() -> ProblemError:
    detail = "This Idempotency-Key was used for another request; use a new one."
    return ProblemError("idempotency_key_reused", HTTPStatus.UNPROCESSABLE_ENTITY, detail)


@contextmanager
def _problem_when_unreachable() -> Generator[None]:
    try:
        yield
    except (NatsError, TimeoutError, OSError) as error:
        detail = "The broker does not answer, so a repetition would not be noticed. Try again in a moment."
        raise ProblemError("service_unavailable", HTTPStatus.SERVICE_UNAVAILABLE, detail) from error
