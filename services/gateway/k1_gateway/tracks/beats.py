"""`GET`, `POST` and `DELETE .../beat-override`: the entity tag is that of the line of overrides of an analysis."""

import json

from aiohttp import web

from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.entity_tags import if_none_match_tags, strong_tag_headers
from k1_gateway.http.relay import relay


async def get_beat_override(
    context: GatewayContext, request: web.Request, endpoint: Endpoint
) -> web.Response:
    """Return the beats of a version and their override, with the tag that an edit needs."""
    response = await relay(context, request, endpoint)
    headers = strong_tag_headers(_tag(response))
    held = if_none_match_tags(request)
    if _tag(response) in held or "*" in held:
        return web.Response(status=304, headers=headers)
    response.headers.update(headers)
    return response


async def edit_beats(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Save or remove an override; the tag of the response is the one for the next edit."""
    response = await relay(context, request, endpoint)
    response.headers["ETag"] = strong_tag_headers(_tag(response))["ETag"]
    return response


def _tag(response: web.Response) -> str:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)["etag"]
