"""Reading and redriving dead letters: what `k1 dlq` does."""

from dataclasses import dataclass

from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from k1_contracts import streams, subjects
from k1_platform.dead_letters import HEADER_PREFIX


class DeadLetterMissingError(LookupError):
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
        raise DeadLetterMissingError(f"there is no dead letter {number}; `k1 dlq list` shows them") from error


async def redrive_dead_letter(jetstream: JetStreamContext, number: int) -> DeadLetter:
    """Send a dead letter to the durable that failed, and to no other, then remove it."""
    letter = await show_dead_letter(jetstream, number)
    headers = {name: value for name, value in letter.headers.items() if not name.startswith("Nats-")}
    headers = {name: value for name, value in headers.items() if not name.startswith(HEADER_PREFIX)}
    headers["Nats-Msg-Id"] = f"redrive:{number}"
    await jetstream.publish(
        subjects.redrive(letter.durable, letter.subject), letter.body, headers=headers, timeout=5
    )
    await jetstream.delete_msg(streams.DEAD_LETTERS, number)
    return letter


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
    headers = message.headers or {}
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
