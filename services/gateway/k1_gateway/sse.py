"""Server-sent events: how every stream is opened, and how its client is made to stop.

An EventSource connects again whenever a stream ends; only 204 stops it. So the last event of a stream that has an end
carries the id `end`, and who comes back with that id gets 204.
"""

from typing import Final

from aiohttp import web

from k1_gateway.api import Api

END: Final = "end"


def last_event_id(request: web.Request) -> str | None:
    """Return where the client stands, as its EventSource says when it comes back."""
    return request.headers.get("Last-Event-ID")


async def open_stream(api: Api, request: web.Request) -> web.StreamResponse:
    """Send the head of the answer; a client that asked with HEAD wants no more."""
    response = web.StreamResponse(headers={**api.edge.headers(request), "Cache-Control": "no-store"})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    return response


def nothing_more() -> web.Response:
    """204: an EventSource that gets it does not connect again."""
    return web.Response(status=204, headers={"Cache-Control": "no-store"})
