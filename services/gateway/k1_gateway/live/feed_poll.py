"""`GET /events/poll`: the live feed by long polling, where streams are blocked."""

from typing import Any

import msgspec
from aiohttp import web

from k1_gateway.feed.event_types import DEFAULT_TOPICS
from k1_gateway.feed.feed import Client
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.relay import uncached_response
from k1_gateway.http.request_parsing import build_query
from k1_gateway.live.feed_notices import dropped_notice, gap_notice
from k1_gateway.live.feed_requests import PollFeed, require_ready, run_until_end
from k1_platform.processes.tasks import is_set_within


async def poll_feed(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Return what came after the client's last id, or wait for it."""
    query = build_query(request, PollFeed, params=endpoint.query_params)
    feed, position = context.feed, await require_ready(context.feed, query.after)
    with feed.client("poll") as client:
        feed.start(client, query.topics or DEFAULT_TOPICS, position)
        if position is not None and client.queue.is_empty:
            await run_until_end(request, client, _wait(client, query.timeout_s))
        events = _take(client)
        last_id = feed.idle_position(client) or client.queue.position
    return uncached_response(
        msgspec.json.encode({"events": events, "last_id": str(last_id)}), endpoint.status
    )


async def _wait(client: Client, timeout_s: float) -> None:
    await is_set_within(client.queue.changed, timeout_s)


def _take(client: Client) -> list[Any]:
    batch = client.queue.take()
    events: list[Any] = [gap_notice(gap) for gap in batch.gaps]
    if batch.dropped:
        events.append(dropped_notice(batch.dropped))
    return events + [msgspec.Raw(event.as_json(position)) for position, event in batch.events]
