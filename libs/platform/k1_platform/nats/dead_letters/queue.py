"""Reading and redriving dead letters: what `k1 dlq` does."""

from dataclasses import dataclass
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from k1_contracts import streams, subjects
from k1_platform.nats.dead_letters.message import HEADER_PREFIX, text_headers

_MESSAGE_ID: Final = "Nats-Msg-Id"
_CONFIRM_TIMEOUT_S: Final = 5.0
_SILENCE_S: Final = 0.3
"""How long to wait for a confirmation that does not come before looking for the message itself."""
_SILENT: Final = frozenset(stream.name for stream in streams.STREAMS if not stream.confirms)


class DeadLetterNotFoundError(LookupError):
    """There is no dead letter of this number."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be handled, and why."""

    number: int
    """Its sequence in the dead-letter stream: what list, show and redrive call it."""
    subject: str
    stream: str
    durable: str
    code: str
    reason: str
    attempts: int
    at: str
    headers: dict[str, str]
    body: bytes


async def list_dead_letters(jetstream: JetStreamContext, limit: int = 1000) -> list[DeadLetter]:
    """The dead letters, oldest first."""
    state = (await jetstream.stream_info(streams.DEAD_LETTERS)).state
    letters: list[DeadLetter] = []
    following = state.first_seq
    while len(letters) < limit and following <= state.last_seq:
        try:
            message = await jetstream.get_msg(
                streams.DEAD_LETTERS, seq=following, subject=f"{subjects.DEAD_LETTERS}.>", next=True
            )
        except NotFoundError:
            break
        letters.append(_letter(message))
        following = letters[-1].number + 1
    return letters


async def count_dead_letters(jetstream: JetStreamContext) -> int:
    """How many there are."""
    return (await jetstream.stream_info(streams.DEAD_LETTERS)).state.messages


async def show_dead_letter(jetstream: JetStreamContext, number: int) -> DeadLetter:
    """One dead letter; raises DeadLetterMissingError."""
    try:
        return _letter(await jetstream.get_msg(streams.DEAD_LETTERS, seq=number))
    except NotFoundError as error:
        raise DeadLetterNotFoundError(
            f"there is no dead letter {number}; `k1 dlq list` shows them"
        ) from error


async def redrive_dead_letter(jetstream: JetStreamContext, number: int) -> DeadLetter:
    """Send a dead letter to the durable that failed, and to no other, then remove it."""
    letter = await show_dead_letter(jetstream, number)
    headers = {name: value for name, value in letter.headers.items() if not name.startswith("Nats-")}
    headers = {name: value for name, value in headers.items() if not name.startswith(HEADER_PREFIX)}
    headers[_MESSAGE_ID] = f"redrive:{number}"
    await _publish_stored(jetstream, letter, headers)
    await jetstream.delete_msg(streams.DEAD_LETTERS, number)
    return letter


async def _publish_stored(jetstream: JetStreamContext, letter: DeadLetter, headers: dict[str, str]) -> None:
    """Publish, and be sure that the stream has it; some streams do not say so themselves."""
    subject = subjects.redrive(letter.durable, letter.subject)
    confirms = letter.stream not in _SILENT
    try:
        await jetstream.publish(
            subject, letter.body, headers=headers, timeout=_CONFIRM_TIMEOUT_S if confirms else _SILENCE_S
        )
    except TimeoutError:
        if confirms:
            raise
        last = await jetstream.get_last_msg(letter.stream, subject)
        if (last.headers or {}).get(_MESSAGE_ID) != headers[_MESSAGE_ID]:
            raise


async def purge_dead_letters(jetstream: JetStreamContext, number: int | None = None) -> int:
    """Remove one dead letter, or all; returns how many went."""
    if number is not None:
        await show_dead_letter(jetstream, number)
        await jetstream.delete_msg(streams.DEAD_LETTERS, number)
        return 1
    count = await count_dead_letters(jetstream)
    await jetstream.purge_stream(streams.DEAD_LETTERS)
    return count


def _letter(message: RawStreamMsg) -> DeadLetter:
    headers = text_headers(message.headers or {})
    marks = {
        name.removeprefix(HEADER_PREFIX): value
        for name, value in headers.items()
        if name.startswith(HEADER_PREFIX)
    }
    return DeadLetter(
        number=message.seq or 0,
        subject=marks.get("subject", message.subject or ""),
        stream=marks.get("stream", ""),
        durable=marks.get("durable", ""),
        code=marks.get("code", ""),
        reason=marks.get("reason", ""),
        attempts=int(marks.get("attempts", "0")),
        at=marks.get("at", ""),
        headers=headers,
        body=message.data or b"",
    )
