"""Models of what the live feed sends: the events, made from the contracts, and what the gateway itself says.

They describe the feed in the OpenAPI document; the gateway sends the JSON that the owners publish.
"""

from typing import Annotated, Any, Final, Literal, Union

from pydantic import BaseModel, Field, RootModel, StringConstraints, create_model

from k1_contracts.base import UtcTime
from k1_gateway.feed.client_queue import Missed
from k1_gateway.feed.event_types import DURABLE_TYPES, SAMPLE_TYPES, TOPIC_PATTERN, EventType
from k1_gateway.feed.position import POSITION_PATTERN

FeedId = Annotated[str, StringConstraints(pattern=POSITION_PATTERN)]
"""Where the client is in the feed. Ids sort as texts, and one from any gateway is good at every other."""
FeedTopic = Annotated[str, StringConstraints(pattern=TOPIC_PATTERN)]


class _PublishedEvent(BaseModel):
    id: FeedId
    topic: FeedTopic
    """The first of the topics under which it is delivered; docs/live.md lists them all."""
    at: UtcTime
    actor: str | None = None
    """The name of the person who caused it."""


class GapData(BaseModel):
    """What the client has lost for good."""

    missed: Missed
    """`events`: read again what you show. `samples`: newer ones follow by themselves."""
    after: FeedId
    """The id with which the client came."""


class GapNotice(BaseModel):
    """The id is too old, or from another broker: what followed it is no longer there."""

    id: FeedId
    type: Literal["gap"]
    at: UtcTime
    data: GapData


class DroppedData(BaseModel):
    """How much a slow client lost."""

    count: int
    """Progress and readings that were dropped since the last notice."""


class DroppedNotice(BaseModel):
    """The client reads too slowly: samples were dropped, never events."""

    type: Literal["dropped"]
    at: UtcTime
    data: DroppedData


class ClosingData(BaseModel):
    """Why the stream ends."""

    reason: str


class ClosingNotice(BaseModel):
    """The stream ends; come back with the last id."""

    type: Literal["closing"]
    at: UtcTime
    data: ClosingData


def _model_of(kind: EventType) -> type[BaseModel]:
    name = kind.name.replace("_", ".").title().replace(".", "")
    only: Any = Literal[kind.name]  # pyright: ignore[reportInvalidTypeForm]  a type that is made here
    fields: dict[str, Any] = {"type": (only, ...), "data": (kind.model, ...)}
    return create_model(f"{name}FeedEvent", __base__=_PublishedEvent, __doc__=kind.summary, **fields)


NOTICES: Final = (GapNotice, DroppedNotice, ClosingNotice)
EVENT_MODELS: Final = tuple(map(_model_of, (*DURABLE_TYPES.values(), *SAMPLE_TYPES.values())))
_Union: Any = Annotated[Union[(*EVENT_MODELS, *NOTICES)], Field(discriminator="type")]
FeedEventModel: Final[type[BaseModel]] = create_model(
    "FeedEvent", __base__=RootModel[_Union], __doc__="One event of the live feed; `type` says which."
)


class FeedStreamEvent(BaseModel):
    """A server-sent event of the feed. It has the default name, so that `onmessage` receives it."""

    event: Literal["message"] = "message"
    id: FeedId | None = None
    """Absent for notices that do not move the client's place in the feed."""
    data: FeedEventModel  # pyright: ignore[reportInvalidTypeForm]  a model that is made when this is imported


class FeedPage(BaseModel):
    """The answer to one poll."""

    events: list[FeedEventModel]  # pyright: ignore[reportInvalidTypeForm]
    last_id: FeedId
    """Poll again with it as `after`."""
