"""Publishes events and commands: wraps a body in its CloudEvents envelope and waits for the stream's acknowledgement."""

from dataclasses import dataclass
from typing import Final, TypeVar

from faststream.nats import NatsBroker

from k1_contracts.base import Contract
from k1_contracts.descriptors import StreamMessage
from k1_contracts.envelope import envelope_for
from k1_contracts.ids import derived_id
from k1_platform.errors import TransientError
from k1_platform.nats.actors import current_actor

PUBLISH_TIMEOUT_S: Final = 5.0
"""The default of FastStream, 0.5 s, is shorter than a restart of the broker."""

B = TypeVar("B", bound=Contract)


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message as it goes to its stream."""

    stream: str
    subject: str
    headers: dict[str, str]
    body: bytes


def make_message(
    message: StreamMessage[B], body: B, *, source: str, key: str | None = None
) -> OutgoingMessage:
    """Return the message of the service `source` with its envelope.

    The id is derived from the subject and `key` (by default the key of the descriptor), so publishing the same event
    twice gives one event: the stream and the inbox of each consumer drop the second. The envelope names the current
    actor.
    """
    subject_id = message.subject_id(body)
    if key is None:
        key = message.key(body) if message.key else subject_id
    envelope = envelope_for(
        message.subject,
        event_id=derived_id("evt", message.subject, key),
        source=source,
        about=subject_id,
        at=message.time(body),
        actor=current_actor(),
    )
    return OutgoingMessage(message.stream, message.subject, envelope.headers(), body.to_json())


async def publish(
    broker: NatsBroker, message: StreamMessage[B], body: B, *, source: str, key: str | None = None
) -> None:
    """Publish a message and wait until its stream has stored it; `source` and `key` as in `make_message`.

    Raises:
        TransientError: the broker did not confirm. The message may or may not be stored; publishing it again is safe.
    """
    outgoing = make_message(message, body, source=source, key=key)
    try:
        await broker.publish(
            outgoing.body,
            outgoing.subject,
            headers=outgoing.headers,
            stream=outgoing.stream,
            timeout=PUBLISH_TIMEOUT_S,
        )
    except Exception as error:
        raise TransientError(f"{outgoing.subject} was not confirmed by the broker: {error!r}") from error
