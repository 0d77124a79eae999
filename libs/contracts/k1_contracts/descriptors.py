"""Describes each message of the bus once: subject, models, stream, senders and receivers.

Handlers, callers, HTTP routes, durables and the AsyncAPI document are made from these descriptors. They are generic
over the models, so the type checker refuses a handler or a caller whose types differ.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import BaseModel
from typing_extensions import override

from k1_contracts.actors import Role
from k1_contracts.base import Contract

Kind = Literal["event", "command", "query", "live", "link"]
"""`link`: between a device and the services, without an envelope; `live`: may be lost."""

_PARAMETER: Final = re.compile(r"\{\w+\}")
_PARAMETER_TOKEN: Final = re.compile(r"[^.]*\{\w+\}[^.]*")

M = TypeVar("M", bound=BaseModel)
B = TypeVar("B", bound=Contract)
Q = TypeVar("Q", bound=Contract)
R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Message(Generic[M]):
    """A message body and where it travels; the subclasses say how."""

    subject: str
    """May hold one parameter, for example `device.{device_id}.hello`."""
    model: type[M]
    summary: str = field(kw_only=True)
    senders: tuple[str, ...] = field(kw_only=True)
    receivers: tuple[str, ...] = field(kw_only=True, default=())
    stream: str | None = field(kw_only=True, default=None)
    kind: ClassVar[Kind]

    @property
    def name(self) -> str:
        """Return the model's name: what schemas and examples are filed under."""
        return self.model.__name__

    @property
    def response_model(self) -> type[BaseModel] | None:
        """Return the model of the response, for queries."""
        return None


@dataclass(frozen=True, slots=True)
class StreamMessage(Message[B]):
    """A message in a CloudEvents envelope that a JetStream stream keeps."""

    stream: str = field(kw_only=True)
    subject_id: Callable[[B], str] = field(kw_only=True)
    """Returns the id of the track, job, deployment or device that the message is about."""
    time: Callable[[B], datetime] = field(kw_only=True)
    """Returns when it happened or was requested."""
    key: Callable[[B], str] | None = field(kw_only=True, default=None)
    """Returns what makes two publications the same message; by default `subject_id`."""


@dataclass(frozen=True, slots=True)
class Event(StreamMessage[B]):
    """Something that happened, in the past tense; any service may subscribe."""

    kind: ClassVar[Kind] = "event"


@dataclass(frozen=True, slots=True)
class Command(StreamMessage[B]):
    """An order to the one service that owns it."""

    role: Role = field(kw_only=True, default="editor")
    """The lowest role of a person who may cause it."""
    kind: ClassVar[Kind] = "command"


@dataclass(frozen=True, slots=True)
class Publication(Generic[B]):
    """A message and the body to publish; the type checker refuses a body of another message."""

    message: StreamMessage[B]
    body: B


@dataclass(frozen=True, slots=True)
class Topic(Message[M]):
    """A message without an envelope, on a subject with one parameter such as `live.job.{job_id}`."""

    def subject_for(self, value: str | int) -> str:
        """Return the subject for one value of the parameter."""
        return _PARAMETER.sub(str(value), self.subject)

    @property
    def pattern(self) -> str:
        """Return the subject with a wildcard for the token that holds its parameter, to subscribe to all values."""
        return _PARAMETER_TOKEN.sub("*", self.subject)


@dataclass(frozen=True, slots=True)
class LiveMessage(Topic[M]):
    """Data for whoever watches at this moment; it may be lost."""

    kind: ClassVar[Kind] = "live"


@dataclass(frozen=True, slots=True)
class DeviceMessage(Topic[M]):
    """A message of the device link, to or from one device."""

    kind: ClassVar[Kind] = "link"


@dataclass(frozen=True, slots=True)
class QueuedCommand(Topic[M]):
    """A job that waits in a work queue for one of several workers."""

    kind: ClassVar[Kind] = "command"


@dataclass(frozen=True, slots=True)
class AnyQuery(Message[Q]):
    """A request to one service over core NATS, on `rpc.<service>.<noun>.<verb>`."""

    response: type[BaseModel]
    senders: tuple[str, ...] = field(kw_only=True, default=("gateway",))
    role: Role = field(kw_only=True, default="viewer")
    """The lowest role of a person who may send it; a service that acts by itself may send every query."""
    kind: ClassVar[Kind] = "query"

    def __post_init__(self) -> None:
        object.__setattr__(self, "receivers", (self.service,))

    @property
    def service(self) -> str:
        """Return the name of the service that responds."""
        return self.subject.split(".")[1]

    @property
    @override
    def response_model(self) -> type[BaseModel]:
        return self.response


@dataclass(frozen=True, slots=True)
class Query(AnyQuery[Q], Generic[Q, R]):
    """A query whose response is a model."""

    response: type[R]


@dataclass(frozen=True, slots=True)
class DocumentQuery(AnyQuery[Q]):
    """A query whose response is a large JSON document, sent compressed and never parsed on its way."""


def messages_in(module: ModuleType) -> list[Message[Any]]:
    """Return the messages that a module describes, in the order in which they stand there."""
    return [value for value in vars(module).values() if isinstance(value, Message)]
