"""What the three ways into the live feed share: parameters, the wait for the feed, and the end of a connection."""

import asyncio
import random
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field, StringConstraints

from k1_contracts.base import Contract
from k1_gateway.errors import ProblemError
from k1_gateway.feed.event_types import DEFAULT_TOPICS, TOPIC_PATTERN
from k1_gateway.feed.feed import Client, Feed
from k1_gateway.feed.position import POSITION_PATTERN, Position
from k1_gateway.http.session_end import SESSION_END
from k1_platform.processes.tasks import cancel_tasks

MAX_TOPICS: Final = 200
HEARTBEAT_S: Final = 15.0
STOP: Final = "gateway_stops"
CANCEL_AGAIN_AFTER_S: Final = 1.0
_READY_TIMEOUT_S: Final = 5.0
_CATCH_UP_TIMEOUT_S: Final = 2.0
Topic = Annotated[str, StringConstraints(pattern=TOPIC_PATTERN)]
Topics = Annotated[list[Topic], Field(min_length=1, max_length=MAX_TOPICS)]


EventId = Annotated[str, StringConstraints(pattern=POSITION_PATTERN)]


class WatchFeed(Contract):
    """What a client wants to see, and the last event that it has."""

    topics: Topics | None = None
    """Separated by commas: `jobs`, `alarms`, `fleet`, `activity`, `track:ID`, `device:ID`, `deployment:ID`.
    By default the first four."""
    last_event_id: EventId | None = None
    """The `id` of the last event received, for clients that cannot send the header `Last-Event-ID`."""

    @property
    def wanted(self) -> list[str]:
        """Return the topics, or those by default."""
        return self.topics or list(DEFAULT_TOPICS)


class PollFeed(Contract):
    """The same by long polling."""

    topics: Topics | None = None
    """As for the stream."""
    after: EventId | None = None
    """The `last_id` of the answer before; without it the answer comes at once, and has only a `last_id`."""
    timeout_s: float = Field(default=25.0, ge=0, le=60)
    """How long to wait for an event."""


def spread() -> float:
    """Return a random factor of 0.5 to 1, so that clients that came at the same time are not all served at the same time."""
    return random.uniform(0.5, 1)  # noqa: S311  no secret


async def require_ready(feed: Feed, after: str | None) -> Position | None:
    """Wait until the feed can tell what a client missed; return the client's position.

    Raises:
        ProblemError: `service_unavailable` (503): the broker cannot be read.
    """
    position = None if after is None else Position.parse(after)
    await feed.wait_for(None, _READY_TIMEOUT_S)
    if not await feed.wait_for(position, _CATCH_UP_TIMEOUT_S):
        detail = "The live feed has not begun yet, as the broker cannot be read; try again."
        raise ProblemError("service_unavailable", HTTPStatus.SERVICE_UNAVAILABLE, detail)
    return position


class Heartbeat:
    """Wakes the writer of a connection when it is time for a heartbeat.

    A timeout around each wait would cost more than the rest of passing on an event.
    """

    def __init__(self, changed: asyncio.Event) -> None:
        self._changed = changed
        self._is_due = False
        self._timer = self._start(HEARTBEAT_S * spread())

    def take(self) -> bool:
        """Return whether a heartbeat is due; the next one is then so much later."""
        is_due, self._is_due = self._is_due, False
        if is_due:
            self._timer = self._start(HEARTBEAT_S)
        return is_due

    def stop(self) -> None:
        """Wake nobody any more."""
        self._timer.cancel()

    def _start(self, delay_s: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_s, self._on_time)

    def _on_time(self) -> None:
        self._is_due = True
        self._changed.set()


async def run_until_end(request: web.Request, client: Client, *works: Coroutine[Any, Any, None]) -> None:
    """Run until one of the works ends, or the client is closed; the end of the gateway closes it too.

    So does the end of the session of its reader. A write to a client that reads nothing waits for long, so it is cancelled then.
    """
    working = [asyncio.create_task(work) for work in works]
    stopping = asyncio.create_task(request[SESSION_END].wait())
    stopping.add_done_callback(lambda done: None if done.cancelled() else client.close(STOP))
    try:
        await asyncio.wait((*working, client.ended), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_tasks((*working, stopping), CANCEL_AGAIN_AFTER_S)
    for task in working:
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, ConnectionError):
            raise error


def is_blocked(request: web.Request) -> bool:
    """Return whether the client does not read what was sent."""
    return request.transport is None or request.transport.get_write_buffer_size() > 0


def abort_if_blocked(request: web.Request) -> None:
    """End the connection of a client that does not read; a clean close would wait until it has read everything."""
    if request.transport is not None and is_blocked(request):
        request.transport.abort()
