"""`GET /events/stream`: the live feed as server-sent events."""

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

from aiohttp import web

from k1_gateway.feed.client_queue import Batch
from k1_gateway.feed.feed import Client, Feed
from k1_gateway.feed.position import Position
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.request_parsing import build_query
from k1_gateway.live.feed_notices import Notice, closing_notice, dropped_notice, encode, gap_notice
from k1_gateway.live.feed_requests import (
    Heartbeat,
    WatchFeed,
    abort_if_blocked,
    is_blocked,
    require_ready,
    run_until_end,
)
from k1_gateway.live.sse import last_event_id, open_stream

_RETRY_MS: Final = 2000
"""After so long an EventSource connects again."""


async def stream_feed(
    context: GatewayContext, request: web.Request, endpoint: Endpoint
) -> web.StreamResponse:
    """Stream the feed until the client disconnects or the gateway stops; an EventSource then connects again."""
    header = last_event_id(request)
    extra = {"last_event_id": header} if header else {}
    query = build_query(request, WatchFeed, params=endpoint.query_params, extra=extra)
    position = await require_ready(context.feed, query.last_event_id)
    response = await open_stream(context, request)
    if request.method == "HEAD":
        return response
    with context.feed.client("sse") as client:
        context.feed.start(client, query.wanted, position)
        await run_until_end(request, client, _write(context.feed, client, response))
        with suppress(ConnectionError):
            if client.close_reason and not is_blocked(request):
                await response.write(_block(None, closing_notice(client.close_reason)))
    abort_if_blocked(request)
    return response


async def _write(feed: Feed, client: Client, response: web.StreamResponse) -> None:
    async for chunk in _chunks(feed, client):
        await response.write(chunk)


async def _chunks(feed: Feed, client: Client) -> AsyncGenerator[bytes]:
    yield b": connected\nretry: %d\n%s\n" % (_RETRY_MS, _id_line(feed.idle_position(client)))
    heartbeat = Heartbeat(client.queue.changed)
    try:
        while True:
            await client.queue.changed.wait()
            if chunk := _blocks(client.queue.take()):
                yield chunk
            if heartbeat.take():
                # An id without data moves the client's last id, and no event reaches the page.
                yield b": heartbeat\n%s\n" % _id_line(feed.idle_position(client))
    finally:
        heartbeat.stop()


def _id_line(position: Position | None) -> bytes:
    return b"" if position is None else b"id: %s\n" % str(position).encode()


def _blocks(batch: Batch) -> bytes:
    parts = [_block(gap.resumed_at, gap_notice(gap)) for gap in batch.gaps]
    if batch.dropped:
        parts.append(_block(None, dropped_notice(batch.dropped)))
    parts += [
        b"%sdata: %s\n\n" % (_id_line(position), event.as_json(position)) for position, event in batch.events
    ]
    return b"".join(parts)


def _block(position: Position | None, notice: Notice) -> bytes:
    return b"%sdata: %s\n\n" % (_id_line(position), encode(notice))
