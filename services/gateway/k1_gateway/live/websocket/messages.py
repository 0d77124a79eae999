"""What a client may send on the WebSocket, and what the gateway sends beside the events of the feed."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from k1_contracts.base import Contract, UtcTime
from k1_contracts.ids import TrackId
from k1_contracts.messages.catalogue.beats import BeatsMs, Downbeats, Note
from k1_contracts.tracks import Version
from k1_gateway.live.feed_models import FeedId, FeedTopic
from k1_gateway.live.feed_requests import EventId, Topics

Ref = Annotated[str, Field(max_length=100)] | int
"""What the client wants to see again in the answer."""


class Request(Contract):
    """A message of a client."""

    model_config = ConfigDict(extra="forbid")

    ref: Ref | None = None


class Subscribe(Request):
    """Watch topics from now on, or, with `after`, from an event on; `after` only before anything is watched."""

    action: Literal["subscribe"]
    topics: Topics
    after: EventId | None = None


class Unsubscribe(Request):
    """Watch these topics no longer."""

    action: Literal["unsubscribe"]
    topics: Topics


class Ping(Request):
    """Ask whether the gateway is there."""

    action: Literal["ping"]


class SaveBeats(Request):
    """Set the beats of a version, as `POST .../beat-override` does; all viewers get `beats_updated`."""

    action: Literal["save_beats"]
    track_id: TrackId
    version: Version
    beats_ms: BeatsMs
    """Milliseconds; in MessagePack also as float64, little-endian."""
    downbeats: Downbeats | None = None
    note: Note | None = None
    if_match: Annotated[list[str], Field(max_length=10)] | None = None
    """Entity tags of the beats that were edited; without it whatever is there is replaced."""


class Hello(BaseModel):
    """The first message: the connection is open."""

    type: Literal["hello"]
    id: FeedId
    at: UtcTime
    topics: list[FeedTopic]
    heartbeat_s: float


class Heartbeat(BaseModel):
    """Everything up to this id has been sent; come back with it."""

    type: Literal["heartbeat"]
    id: FeedId
    at: UtcTime


class Ack(BaseModel):
    """An action succeeded."""

    type: Literal["ack"]
    action: str
    ref: Ref | None = None
    data: dict[str, Any]
    """`topics` of a subscription; the result of a query."""


class ErrorMessage(BaseModel):
    """An action failed; the connection goes on."""

    type: Literal["error"]
    action: str | None = None
    ref: Ref | None = None
    code: str
    detail: str
