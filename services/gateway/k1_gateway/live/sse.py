"""Server-sent events: how every stream of the API begins, and how a client is stopped from connecting again.

An EventSource connects again whenever a stream ends; only 204 stops it. So the last event of a stream that has an end
carries the id `end`, and a client that comes back with that id gets 204.

When the access token of the reader expires or is revoked, the last event is `session_ended`. It has no id, so that a
client which refreshes its token and connects again continues where it stopped.
"""

import json
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from k1_contracts.base import rfc3339
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.session_end import SessionEnd

END_ID: Final = "end"
STREAM_END: Final = {204: ("Nothing more will come: it has ended, and the client has its last event", None)}
"""The response of an endpoint whose stream has an end, for the table of endpoints."""


def last_event_id(request: web.Request) -> str | None:
    """Return the id of the last event that the client received; an EventSource sends it when it connects again."""
    return request.headers.get("Last-Event-ID")


async def open_stream(context: GatewayContext, request: web.Request) -> web.StreamResponse:
    """Send the headers of a stream and return its response. A client that asked with HEAD gets nothing more."""
    headers = {**context.headers.for_request(request), "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers)
    response.content_type = "text/event-stream"
    await response.prepare(request)
    return response


def encode_session_end(end: SessionEnd) -> bytes:
    """Return the last event of a stream whose reader has to refresh the token, or sign in again."""
    body = {
        "event": "session_ended",
        "timestamp": rfc3339(datetime.now(UTC)),
        "details": {"reason": end.reason},
    }
    return b"event: session_ended\ndata: %s\n\n" % json.dumps(body).encode()


def stream_ended_response() -> web.Response:
    """Return 204, after which an EventSource does not connect again."""
    return web.Response(status=204, headers={"Cache-Control": "no-store"})
