"""`GET /tracks/{track_id}/telemetry/stream`: the live feed of a track as server-sent events."""

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
from k1_contracts.messages.catalogue.tracks import TRACK_GET, GetTrack
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.request_parsing import MAX_EVENT_ID, build_query, parse_text
from k1_gateway.http.session_end import SESSION_END
from k1_gateway.live.sse import encode_session_end, last_event_id, open_stream
from k1_gateway.live.track_feed import FeedBuffer, FeedItem, TrackFeed, encode_event
from k1_platform.processes.tasks import cancel_tasks

HEARTBEAT_INTERVAL_S: Final = 15.0
_CANCEL_AGAIN_AFTER_S: Final = 1.0
"""nats-py may lose a cancellation. After so long the task is cancelled again, so that the stream ends in time."""

_log = logging.getLogger(__name__)


class WatchTelemetry(Contract):
    """The track, and the last event of its feed that the client has received."""

    track_id: TrackId
    last_event_id: Annotated[int, Field(ge=0, le=MAX_EVENT_ID)] | None = None
    """The `id` of the last event received, for clients that cannot send the header `Last-Event-ID`."""


async def stream_telemetry(
    context: GatewayContext, request: web.Request, endpoint: Endpoint
) -> web.StreamResponse:
    """Stream the feed until the client disconnects or the gateway stops; an EventSource then connects again."""
    header = last_event_id(request)
    extra = {"last_event_id": parse_text(WatchTelemetry, "last_event_id", header)} if header else {}
    query = build_query(request, WatchTelemetry, params=endpoint.query_params, extra=extra)
    await context.send_query(TRACK_GET, GetTrack(track_id=query.track_id))
    response = await open_stream(context, request)
    if request.method == "HEAD":
        return response
    buffer = FeedBuffer()
    feed = TrackFeed(context.bus, query.track_id, query.last_event_id, buffer)
    end = request[SESSION_END]
    await _until_first_ends(feed.run(), _write(response, buffer), end.wait())
    if end.is_signed_out:
        with suppress(ConnectionError):
            await response.write(encode_session_end(end))
    if request.transport is not None and request.transport.get_write_buffer_size():
        request.transport.abort()  # a clean close would wait until a slow client has read everything
    return response


async def _until_first_ends(*works: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_tasks(tasks, _CANCEL_AGAIN_AFTER_S)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            _log.error("the stream ended early", exc_info=error)


async def _write(response: web.StreamResponse, buffer: FeedBuffer) -> None:
    # A client that disconnects or reads nothing ends only its own stream; that is no error of the gateway.
    with suppress(ConnectionError):
        async for chunk in _chunks(buffer):
            await response.write(chunk)


async def _chunks(buffer: FeedBuffer) -> AsyncIterator[bytes]:
    yield b": connected\n\n"
    heartbeat_s = time.monotonic() + HEARTBEAT_INTERVAL_S
    while True:
        await buffer.wait(max(heartbeat_s - time.monotonic(), 0.0))
        items, dropped, missed = buffer.take()
        if chunk := _notices(dropped, missed) + b"".join(map(FeedItem.encode, items)):
            yield chunk
        if time.monotonic() >= heartbeat_s:
            yield b": heartbeat\n\n"
            heartbeat_s = time.monotonic() + HEARTBEAT_INTERVAL_S


def _notices(dropped: int, missed: tuple[int, int] | None) -> bytes:
    notices = b""
    if missed is not None:
        notices += _notice("missed", {"after_id": missed[0], "resumed_at_id": missed[1]})
    if dropped:
        notices += _notice("dropped", {"count": dropped})
    return notices


def _notice(name: str, details: dict[str, int]) -> bytes:
    return encode_event({"event": name, "timestamp": rfc3339(datetime.now(UTC)), "details": details})
