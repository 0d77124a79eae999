"""`GET /fleet/stream`: the figures of the fleet as server-sent events."""

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

import msgspec
from aiohttp import web

from k1_contracts.messages.fleet import FLEET_GET, GetFleet
from k1_gateway.feed.event_types import FLEET_SUMMARY_TYPE
from k1_gateway.feed.feed import Client
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.request_parsing import build_query
from k1_gateway.http.session_end import SESSION_END
from k1_gateway.live.feed_requests import (
    Heartbeat,
    abort_if_blocked,
    is_blocked,
    require_ready,
    run_until_end,
)
from k1_gateway.live.sse import encode_session_end, open_stream

_TOPIC: Final = "fleet"


async def stream_fleet(
    context: GatewayContext, request: web.Request, endpoint: Endpoint
) -> web.StreamResponse:
    """Stream the figures until the client disconnects or the gateway stops; an EventSource then connects again."""
    query = build_query(request, GetFleet, params=endpoint.query_params)
    await require_ready(context.feed, None)
    with context.feed.client("sse") as client:
        context.feed.start(client, [_TOPIC], None)
        # Read after the subscription, so that no change is lost between the two.
        first = await context.send_query(FLEET_GET, query)
        response = await open_stream(context, request)
        if request.method == "HEAD":
            return response
        await run_until_end(request, client, _write(client, response, first))
        end = request[SESSION_END]
        with suppress(ConnectionError):
            if end.is_signed_out and not is_blocked(request):
                await response.write(encode_session_end(end))
    abort_if_blocked(request)
    return response


async def _write(client: Client, response: web.StreamResponse, first: bytes) -> None:
    await response.write(b"data: %s\n\n" % first)
    async for chunk in _chunks(client):
        await response.write(chunk)


async def _chunks(client: Client) -> AsyncGenerator[bytes]:
    heartbeat = Heartbeat(client.queue.changed)
    try:
        while True:
            await client.queue.changed.wait()
            views = [
                msgspec.json.decode(event.json)["data"]
                for _, event in client.queue.take().events
                if event.type == FLEET_SUMMARY_TYPE
            ]
            if views:  # of several only the newest matters
                yield b"data: %s\n\n" % msgspec.json.encode(views[-1])
            if heartbeat.take():
                yield b": heartbeat\n\n"
    finally:
        heartbeat.stop()
