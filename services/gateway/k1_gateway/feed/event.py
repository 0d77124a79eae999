"""One event of the feed, and its frames in JSON and MessagePack, which all clients share."""

import sys
from array import array
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

import msgspec
from nats.aio.msg import Msg

from k1_contracts.base import rfc3339
from k1_contracts.envelope import ACTOR_HEADER
from k1_gateway.feed.event_types import EventType, type_of
from k1_gateway.feed.position import POSITION_LENGTH, Position

_ID_START: Final = len(b'{"id":"')
_ID_END: Final = _ID_START + POSITION_LENGTH
BEAT_FIELDS: Final = frozenset({"beats", "beats_ms", "beat_grid_ms"})
"""Lists of times that are binary in MessagePack: float64, little-endian."""


class FeedEvent:
    """An event as the gateway read it. `order` numbers what this gateway has read from both streams."""

    __slots__ = ("_msgpack", "is_durable", "json", "order", "position", "sequence", "topics", "type")

    def __init__(
        self, kind: EventType, topics: tuple[str, ...], position: Position, order: int, frame: bytes
    ) -> None:
        self.type = kind.name
        self.is_durable = kind.is_durable
        self.topics = topics
        self.position = position
        """Where this gateway was in both streams after it had read the event."""
        self.sequence = position.event if kind.is_durable else position.sample
        self.order = order
        self.json = frame
        """The whole event as compact JSON, on one line; its first field is the id."""
        self._msgpack: bytes | None = None

    def as_json(self, position: Position) -> bytes:
        """Return the frame for a client that comes to this position with the event."""
        if position is self.position or position == self.position:
            return self.json
        return self.json[:_ID_START] + str(position).encode() + self.json[_ID_END:]

    def as_msgpack(self, position: Position) -> bytes:
        """Return the same in MessagePack, with beats as binary float64."""
        if position is not self.position and position != self.position:
            return to_msgpack(msgspec.json.decode(self.as_json(position)))
        if self._msgpack is None:
            self._msgpack = to_msgpack(msgspec.json.decode(self.json))
        return self._msgpack


def read_event(message: Msg, position: Position, order: int, stored_at: datetime) -> FeedEvent | None:
    """Return the event that a message holds.

    None for one that is no event for viewers, is not a JSON object, or could not be encoded for all clients: the feed
    encodes for many at once, and none of them may fail then.
    """
    kind = type_of(message.subject)
    if kind is None:
        return None
    try:
        data: object = msgspec.json.decode(message.data)
        to_msgpack(data)
    except (msgspec.DecodeError, RecursionError, OverflowError):
        return None  # numbers beyond 64 bits and deep nesting have no MessagePack
    fields = cast("dict[str, Any]", data if isinstance(data, dict) else {})
    topics = kind.topics(fields)
    if not fields or not topics:
        return None
    headers = message.headers or {}
    frame = {
        "id": str(position),
        "type": kind.name,
        "topic": topics[0],
        "at": headers.get("ce-time") or rfc3339(stored_at),
        **_actor(headers),
        "data": fields,
    }
    return FeedEvent(kind, topics, position, order, msgspec.json.encode(frame))


def _actor(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the name of who caused the event. The address that a viewer must not see stays in the audit."""
    try:
        actor: object = msgspec.json.decode(headers.get(ACTOR_HEADER, "null"))
    except (msgspec.DecodeError, RecursionError):
        return {}
    return {"actor": str(cast("Any", actor).get("name"))} if isinstance(actor, dict) else {}


def to_msgpack(value: Any) -> bytes:
    """Return a JSON value as MessagePack, with beats as binary float64."""
    return msgspec.msgpack.encode(_with_binary_beats(value))


def _with_binary_beats(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_binary_beats(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    return {
        name: pack_times(cast("list[Any]", item)) if _is_times(name, item) else _with_binary_beats(item)
        for name, item in cast("dict[str, Any]", value).items()
    }


def _is_times(name: str, value: Any) -> bool:
    return (
        name in BEAT_FIELDS
        and isinstance(value, list)
        and all(isinstance(item, int | float) for item in cast("list[Any]", value))
    )


def pack_times(times: list[float]) -> bytes:
    """Return times as float64, little-endian."""
    packed = array("d", times)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack_times(data: bytes) -> list[float]:
    """Return the times of float64, little-endian; raise ValueError if the length is none of such a list."""
    times = array("d")
    times.frombytes(data)
    if sys.byteorder == "big":
        times.byteswap()
    return times.tolist()
