"""The live feed of a track as server-sent events, for a browser's EventSource."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field

from k1_contracts.base import Contract, rfc3339
from k1_contracts.ids import TrackId
from k1_contracts.messages.tracks import GetTrack
from k1_gateway.api import Api
from k1_gateway.endpoints import Endpoint
from k1_gateway.feed import Feed, Item, Waiting, sse_event
from k1_gateway.parsing import LARGEST_EVENT_ID, from_text, read_question
from k1_gateway.sse import last_event_id, open_stream
from k1_platform.processes.tasks import cancel_tasks
from k1_platform.service import STOPPING

HEARTBEAT_S: Final = 15.0
_AGAIN_S: Final = 1.0
"""What loses a cancellation must not keep the stream from its end until the gateway cuts it."""

_log = logging.getLogger(__name__)


class WatchTelemetry(Contract):
    """Which feed, and where the client stands in it."""

    track_id: TrackId
    last_event_id: Annotated[int, Field(ge=0, le=LARGEST_EVENT_ID)] | None = None
    """The `id` of the last event received, for clients that cannot send the header `Last-Event-ID`."""


async def stream_telemetry(api: Api, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
    """Until the client goes or the gateway ends; the client's EventSource then connects anew."""
    header = last_event_id(request)
    extra = {"last_event_id": from_text(WatchTelemetry, "last_event_id", header)} if header else {}
    question = read_question(request, WatchTelemetry, query=endpoint.query, extra=extra)
    await api.ask(endpoint.subject, GetTrack(track_id=question.track_id))
    response = await open_stream(api, request)
    if request.method == "HEAD":
        return response
    waiting = Waiting()
    feed = Feed(api.bus, question.track_id, question.last_event_id, waiting)
    await _until_first_ends(feed.run(), _write(response, waiting), request.app[STOPPING].wait())
    if request.transport is not None and request.transport.get_write_buffer_size():
        request.transport.abort()  # To say goodbye would mean to wait until a slow client has read all.
    return response


async def _until_first_ends(*works: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_tasks(tasks, _AGAIN_S)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            _log.error("the stream ended early", exc_info=error)


async def _write(response: web.StreamResponse, waiting: Waiting) -> None:
    # A client that went away, or that takes nothing, ends its own stream and is no error of ours.
    with suppress(ConnectionError):
        async for chunk in _chunks(waiting):
            await response.write(chunk)


async def _chunks(waiting: Waiting) -> AsyncIterator[bytes]:
    yield b": connected\n\n"
    beat_s = time.monotonic() + HEARTBEAT_S
    while True:
        await waiting.wait(max(beat_s - time.monotonic(), 0.0))
        items, dropped, missed = waiting.take()
        if chunk := _notices(dropped, missed) + b"".join(map(Item.sse, items)):
            yield chunk
        if time.monotonic() >= beat_s:
            yield b": heartbeat\n\n"
            beat_s = time.monotonic() + HEARTBEAT_S


def _notices(dropped: int, missed: tuple[int, int] | None) -> bytes:
    notices = b""
    if missed is not None:
        notices += _notice("missed", {"after_id": missed[0], "resumed_at_id": missed[1]})
    if dropped:
        notices += _notice("dropped", {"count": dropped})
    return notices


def _notice(name: str, details: dict[str, int]) -> bytes:
    return sse_event({"event": name, "timestamp": rfc3339(datetime.now(UTC)), "details": details})
