"""Subscribes the handlers of a service to its durables.

A service lists its messages in one table, `[Handler(TRACK_UPLOADED, function), ...]`. This module parses each message
and calls the handler. The message is acknowledged when the handler returns; an error goes to the dead-letter middleware.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.base import Contract
from k1_contracts.descriptors import Command, StreamMessage
from k1_contracts.durables import Durable
from k1_contracts.envelope import Envelope, EnvelopeError
from k1_platform.errors import PermanentError
from k1_platform.nats.actors import RoleError, acting_as, require_role
from k1_platform.processes.tasks import contain_exits

B = TypeVar("B", bound=Contract)
B_co = TypeVar("B_co", bound=Contract, covariant=True)
FETCH_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Delivery(Generic[B_co]):
    """A parsed message: its envelope, its body, and the subject on which it was first published."""

    envelope: Envelope
    body: B_co
    subject: str


@dataclass(frozen=True, slots=True)
class Handler(Generic[B]):
    """The handler of one event or command: its descriptor and the function to call."""

    message: StreamMessage[B]
    function: Callable[[Delivery[B]], Awaitable[None]]


def consume(
    broker: NatsBroker,
    durable: Durable,
    function: Callable[[NatsMessage], Awaitable[None]],
    *,
    workers: int,
) -> None:
    """Call `function` with the messages of a provisioned durable, at most `workers` at a time."""

    async def handle(message: Any) -> None:
        await contain_exits(function(message))

    broker.subscriber(
        durable.filters[0],
        stream=JStream(durable.stream, declare=False),
        durable=durable.name,
        pull_sub=PullSub(1, timeout=FETCH_TIMEOUT_S),
        max_workers=workers,
        ack_policy=AckPolicy.NACK_ON_ERROR,
        inbox_prefix=_inbox_prefix(broker),
        decoder=_whole_message,
    )(handle)


def _inbox_prefix(broker: NatsBroker) -> bytes:
    """Return the prefix of the broker's own inboxes with a dot; subscribers of FastStream do not take it by themselves."""
    prefix: str | bytes = broker._connection_kwargs["inbox_prefix"]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return (prefix.encode() if isinstance(prefix, str) else prefix) + b"."


def consume_table(
    broker: NatsBroker, durable: Durable, handlers: Sequence[Handler[Any]], *, workers: int
) -> None:
    """Call the handlers with the messages of a durable, at most `workers` at a time.

    Raises:
        ValueError: the subjects of the handlers are not those of the durable.
    """
    table = {handler.message.subject: handler for handler in handlers}
    mismatch = set(durable.filters) ^ set(table)
    if mismatch:
        raise ValueError(f"durable {durable.name} and its table disagree about {sorted(mismatch)}")

    async def dispatch(message: NatsMessage) -> None:
        raw: Msg = message.raw_message
        subject = subjects.original(raw.subject)
        handler = table[subject]
        delivery = parse(raw, handler.message.model, subject)
        _require_role(handler.message, delivery.envelope)
        with acting_as(delivery.envelope.actor):
            await handler.function(delivery)

    consume(broker, durable, dispatch, workers=workers)


def _require_role(message: StreamMessage[Any], envelope: Envelope) -> None:
    """Raise PermanentError for a command of a person whose role does not allow it."""
    if isinstance(message, Command):
        try:
            require_role(envelope.actor, message.role)
        except RoleError as error:
            raise PermanentError("role_required", str(error)) from error


def parse(message: Msg, model: type[B], subject: str) -> Delivery[B]:
    """Parse a message into its envelope and body.

    Raises:
        PermanentError: the headers are not those of a CloudEvent.
        pydantic.ValidationError: the body does not fit the model.
    """
    try:
        envelope = Envelope.from_headers(message.headers or {})
    except EnvelopeError as error:
        raise PermanentError("invalid_envelope", str(error)) from error
    return Delivery(envelope, model.model_validate_json(message.data), subject)


async def _whole_message(message: Any) -> Any:
    """Return the message itself, as FastStream then passes it to the handler.

    The contract model parses the body, not FastStream by its content type. A parameter of the type `NatsMessage` would
    be injected, for which FastStream starts a task group and a thread for each message.
    """
    return message
