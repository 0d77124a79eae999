"""The two forms of messages on the WebSocket, chosen by subprotocol: JSON in text, MessagePack in binary frames."""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

import msgspec
from aiohttp import WSMessage, WSMsgType

from k1_gateway.feed.event import BEAT_FIELDS, FeedEvent, to_msgpack, unpack_times
from k1_gateway.feed.position import Position

JSON: Final = "k1.json"
MSGPACK: Final = "k1.msgpack"
PROTOCOLS: Final = (JSON, MSGPACK)


class UnreadableError(ValueError):
    """The message cannot be read; the text says what it should be."""


class WrongKindError(Exception):
    """A text frame where only binary ones are allowed, or the reverse: the client speaks another protocol."""


@dataclass(frozen=True, slots=True)
class Codec:
    """Encodes and decodes for one subprotocol."""

    is_binary: bool

    def encode_event(self, event: FeedEvent, position: Position) -> bytes:
        """Return the frame of an event."""
        return event.as_msgpack(position) if self.is_binary else event.as_json(position)

    def frame_event(self, event: FeedEvent, position: Position) -> bytes:
        """Return the whole WebSocket frame of an event."""
        body = self.encode_event(event, position)
        return frame_header(len(body), is_binary=self.is_binary) + body

    def encode(self, message: dict[str, Any]) -> bytes:
        """Return the frame of another message."""
        return to_msgpack(message) if self.is_binary else msgspec.json.encode(message)

    def decode(self, message: WSMessage) -> dict[str, Any]:
        """Return what a client sent.

        Raises:
            WrongKindError: it is not of this protocol at all.
            UnreadableError: it is damaged, or no object.
        """
        if message.type is not (WSMsgType.BINARY if self.is_binary else WSMsgType.TEXT):
            raise WrongKindError
        try:
            decode = msgspec.msgpack.decode if self.is_binary else msgspec.json.decode
            value: object = decode(message.data)
        except (msgspec.DecodeError, RecursionError, UnicodeError, ValueError) as error:
            raise UnreadableError(f"The message cannot be read: {error}.") from error
        if not isinstance(value, dict):
            raise UnreadableError("A message is an object with the field `action`.")
        return {name: _plain(name, item) for name, item in cast("dict[str, Any]", value).items()}


@lru_cache(maxsize=4096)
def frame_header(length: int, *, is_binary: bool) -> bytes:
    """Return the header of a server's unfragmented data frame. Source: RFC 6455, section 5.2."""
    first = 0x80 | (WSMsgType.BINARY if is_binary else WSMsgType.TEXT)
    if length < 126:  # noqa: PLR2004  longer bodies have their length in two or eight bytes
        return bytes((first, length))
    if length < 1 << 16:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)


def _plain(name: object, value: Any) -> Any:
    """Return a value as it would be in JSON: binary beats become numbers."""
    if not isinstance(name, str):
        raise UnreadableError("The names of fields are texts.")
    if not isinstance(value, bytes):
        return value
    if name not in BEAT_FIELDS:
        raise UnreadableError(f"{name} is binary; only beats may be.")
    try:
        return unpack_times(value)
    except ValueError as error:
        raise UnreadableError(f"{name} is no list of float64.") from error
