"""Subscribers: a durable and its table of handlers.

A service lists its subjects in one visible table, `{subject: Handler(Model, function)}`; this
module parses the body, calls the function and lets the outcome settle the message.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.base import Contract
from k1_contracts.durables import Durable
from k1_contracts.envelope import Envelope, EnvelopeError
from k1_platform.errors import PermanentError
from k1_platform.processes.tasks import contain_exits

B = TypeVar("B", bound=Contract)
FETCH_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Delivery(Generic[B]):
    """A parsed message: its envelope, its body, and the subject it was first published on."""

    envelope: Envelope
    body: B
    subject: str


@dataclass(frozen=True, slots=True)
class Handler(Generic[B]):
    """How one subject is handled: the model of its body and the function that takes it."""

    model: type[B]
    function: Callable[[Delivery[B]], Awaitable[None]]


def consume(
    broker: NatsBroker,
    durable: Durable,
    function: Callable[[NatsMessage], Awaitable[None]],
    *,
    workers: int,
) -> None:
    """Pull from a provisioned durable, `workers` messages at a time; errors decide by the middleware."""

    async def handle(message: NatsMessage) -> None:
        await contain_exits(function(message))

    broker.subscriber(
        durable.filters[0],
        stream=JStream(durable.stream, declare=False),
        durable=durable.name,
        pull_sub=PullSub(1, timeout=FETCH_TIMEOUT_S),
        max_workers=workers,
        ack_policy=AckPolicy.NACK_ON_ERROR,
        decoder=_raw_body,
    )(handle)


def consume_table(
    broker: NatsBroker, durable: Durable, table: Mapping[str, Handler[Any]], *, workers: int
) -> None:
    """Pull from a durable whose subjects have the handlers of `table`."""
    missing = set(durable.filters) ^ set(table)
    if missing:
        raise ValueError(f"durable {durable.name} and its table disagree about {sorted(missing)}")

    async def dispatch(message: NatsMessage) -> None:
        raw: Msg = message.raw_message
        subject = subjects.original(raw.subject)
        handler = table[subject]
        await handler.function(parse(raw, handler.model, subject))

    consume(broker, durable, dispatch, workers=workers)


def parse(message: Msg, model: type[B], subject: str) -> Delivery[B]:
    """Read a message.

    Raises:
        PermanentError: the headers are not a CloudEvent's.
        pydantic.ValidationError: the body is not the model's; both are dead-lettered.
    """
    try:
        envelope = Envelope.from_headers(message.headers or {})
    except EnvelopeError as error:
        raise PermanentError("invalid_envelope", str(error)) from error
    return Delivery(envelope, model.model_validate_json(message.data), subject)


async def _raw_body(message: Any) -> bytes:
    """Bodies are parsed by their contract, not by FastStream's guess from the content type."""
    return cast("bytes", message.body)
