"""Lists, shows, redrives and purges dead letters and bad samples, for the commands `k1 dlq`.

Bad samples are on a stream of their own. Each function takes the name of the stream; without it, that of dead letters.
"""

from dataclasses import dataclass
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from k1_contracts import streams, subjects
from k1_platform.nats.dead_letters.message import HEADER_PREFIX, text_headers

_MESSAGE_ID: Final = "Nats-Msg-Id"
_CONFIRM_TIMEOUT_S: Final = 5.0
_UNCONFIRMED_TIMEOUT_S: Final = 0.3
"""How long to wait for a confirmation from a stream that sends none, before reading the message back."""
_UNCONFIRMED_STREAMS: Final = frozenset(stream.name for stream in streams.STREAMS if not stream.confirms)


class DeadLetterNotFoundError(LookupError):
    """No dead letter has this number."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be handled, and the reason."""

    number: int
    """Its sequence in the dead-letter stream, by which list, show and redrive name it."""
    subject: str
    stream: str
    durable: str
    code: str
    reason: str
    attempts: int
    at: str
    headers: dict[str, str]
    body: bytes


async def list_dead_letters(
    jetstream: JetStreamContext, limit: int = 1000, *, stream: str = streams.DEAD_LETTERS
) -> list[DeadLetter]:
    """Return at most `limit` dead letters, the oldest first."""
    state = (await jetstream.stream_info(stream)).state
    letters: list[DeadLetter] = []
    sequence = state.first_seq
    while len(letters) < limit and sequence <= state.last_seq:
        try:
            message = await jetstream.get_msg(stream, seq=sequence, subject=">", next=True)
        except NotFoundError:
            break
        letters.append(_letter(message))
        sequence = letters[-1].number + 1
    return letters


async def count_dead_letters(jetstream: JetStreamContext, *, stream: str = streams.DEAD_LETTERS) -> int:
    """Return the number of dead letters."""
    return (await jetstream.stream_info(stream)).state.messages


async def show_dead_letter(
    jetstream: JetStreamContext, number: int, *, stream: str = streams.DEAD_LETTERS
) -> DeadLetter:
    """Return one dead letter.

    Raises:
        DeadLetterNotFoundError: no dead letter has this number.
    """
    try:
        return _letter(await jetstream.get_msg(stream, seq=number))
    except NotFoundError as error:
        command = "k1 dlq list" if stream == streams.DEAD_LETTERS else "k1 dlq list --quarantine"
        raise DeadLetterNotFoundError(f"there is no number {number}; `{command}` shows them") from error


async def redrive_dead_letter(
    jetstream: JetStreamContext, number: int, *, stream: str = streams.DEAD_LETTERS
) -> DeadLetter:
    """Send a dead letter only to the durable that failed, then delete it; raises as `show_dead_letter` does."""
    letter = await show_dead_letter(jetstream, number, stream=stream)
    headers = {name: value for name, value in letter.headers.items() if not name.startswith("Nats-")}
    headers = {name: value for name, value in headers.items() if not name.startswith(HEADER_PREFIX)}
    headers[_MESSAGE_ID] = (
        f"redrive:{number}" if stream == streams.DEAD_LETTERS else f"redrive:{stream}:{number}"
    )
    await _publish_stored(jetstream, letter, headers)
    await jetstream.delete_msg(stream, number)
    return letter


async def _publish_stored(jetstream: JetStreamContext, letter: DeadLetter, headers: dict[str, str]) -> None:
    """Publish a message and make sure that the stream has stored it, although some streams do not confirm."""
    subject = subjects.redrive(letter.durable, letter.subject)
    confirms = letter.stream not in _UNCONFIRMED_STREAMS
    try:
        await jetstream.publish(
            subject,
            letter.body,
            headers=headers,
            timeout=_CONFIRM_TIMEOUT_S if confirms else _UNCONFIRMED_TIMEOUT_S,
        )
    except TimeoutError:
        if confirms:
            raise
        last = await jetstream.get_last_msg(letter.stream, subject)
        if (last.headers or {}).get(_MESSAGE_ID) != headers[_MESSAGE_ID]:
            raise


async def purge_dead_letters(
    jetstream: JetStreamContext, number: int | None = None, *, stream: str = streams.DEAD_LETTERS
) -> int:
    """Delete one dead letter, or all; return how many were deleted. Raises as `show_dead_letter` does."""
    if number is not None:
        await show_dead_letter(jetstream, number, stream=stream)
        await jetstream.delete_msg(stream, number)
        return 1
    count = await count_dead_letters(jetstream, stream=stream)
    await jetstream.purge_stream(stream)
    return count


def _letter(message: RawStreamMsg) -> DeadLetter:
    headers = text_headers(message.headers or {})
    fields = {
        name.removeprefix(HEADER_PREFIX): value
        for name, value in headers.items()
        if name.startswith(HEADER_PREFIX)
    }
    return DeadLetter(
        number=message.seq or 0,
        subject=fields.get("subject", message.subject or ""),
        stream=fields.get("stream", ""),
        durable=fields.get("durable", ""),
        code=fields.get("code", ""),
        reason=fields.get("reason", ""),
        attempts=int(fields.get("attempts", "0")),
        at=fields.get("at", ""),
        headers=headers,
        body=message.data or b"",
    )
