"""What a client can do over the WebSocket: the table ACTIONS. A new action is a model and a row."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

import msgspec

from k1_contracts.messages.catalogue.beats import BEAT_OVERRIDE_SAVE, SaveBeatOverride
from k1_gateway.errors import ProblemError
from k1_gateway.feed.feed import Client
from k1_gateway.feed.position import Position
from k1_gateway.http.context import GatewayContext
from k1_gateway.live.feed_requests import MAX_TOPICS, require_ready
from k1_gateway.live.websocket.messages import Ping, Request, SaveBeats, Subscribe, Unsubscribe
from k1_platform.nats.actors import current_actor

_SAVE_TIMEOUT_S: Final = 35.0
"""As over HTTP."""
R = TypeVar("R", bound=Request)


@dataclass(slots=True, eq=False)
class Session:
    """What the actions of one connection work on."""

    context: GatewayContext
    client: Client
    remote: str | None
    """The network address of the client, for its allowance."""
    is_started: bool = False

    async def start(self, topics: list[str], after: str | None) -> None:
        """Begin to watch, with what came after an event; raise ProblemError if the feed cannot be read."""
        position = await require_ready(self.context.feed, after)
        self._begin(topics, position)

    def _begin(self, topics: list[str], position: Position | None) -> None:
        self.context.feed.start(self.client, topics, position)
        self.is_started = True


@dataclass(frozen=True, slots=True)
class Action(Generic[R]):
    """One action: the message that asks for it, and what it does."""

    model: type[R]
    run: Callable[[Session, R], Awaitable[dict[str, Any]]]
    """Returns the `data` of the ack."""


async def _subscribe(session: Session, message: Subscribe) -> dict[str, Any]:
    client = session.client
    if len(client.topics | set(message.topics)) > MAX_TOPICS:
        detail = f"A connection may watch {MAX_TOPICS} topics; unsubscribe from some."
        raise ProblemError("too_many_topics", HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    if session.is_started and message.after is not None:
        detail = "`after` is only for the first subscription of a connection; open another one."
        raise ProblemError("already_started", HTTPStatus.CONFLICT, detail)
    if session.is_started:
        session.context.feed.subscribe(client, message.topics)
    else:
        await session.start(message.topics, message.after)
    return {"topics": sorted(client.topics)}


async def _unsubscribe(session: Session, message: Unsubscribe) -> dict[str, Any]:
    session.context.feed.unsubscribe(session.client, message.topics)
    return {"topics": sorted(session.client.topics)}


async def _ping(session: Session, message: Ping) -> dict[str, Any]:
    del session, message
    return {}


async def _save_beats(session: Session, message: SaveBeats) -> dict[str, Any]:
    """Save the beats; the roles are checked by the catalogue, and the allowance is that of edits."""
    context = session.context
    fields = message.model_dump(include={"track_id", "version", "beats_ms", "downbeats", "note", "if_match"})
    async with context.rate_limiter.admit("edits", session.remote, current_actor()):
        saved = await context.send_query(BEAT_OVERRIDE_SAVE, SaveBeatOverride(**fields), _SAVE_TIMEOUT_S)
    return msgspec.json.decode(saved)


ACTIONS: Final[Mapping[str, Action[Any]]] = {
    "subscribe": Action(Subscribe, _subscribe),
    "unsubscribe": Action(Unsubscribe, _unsubscribe),
    "ping": Action(Ping, _ping),
    "save_beats": Action(SaveBeats, _save_beats),
}
"""By the field `action` of a message."""
