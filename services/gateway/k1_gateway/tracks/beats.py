"""`GET`, `POST` and `DELETE .../beat-override`: the entity tag is that of the line of overrides of an analysis."""

import json

from aiohttp import web

from k1_contracts.messages.catalogue.beats import BEAT_OVERRIDE_GET, GetBeatOverride
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.entity_tags import if_none_match_tags, strong_tag_headers
from k1_gateway.http.relay import relay
from k1_gateway.http.request_parsing import build_query


async def get_beat_override(
    context: GatewayContext, request: web.Request, endpoint: Endpoint
) -> web.Response:
    """Return the beats of a version and their override, with the tag that an edit needs."""
    query = build_query(request, GetBeatOverride)
    body = await context.send_query(BEAT_OVERRIDE_GET, query, endpoint.timeout_s)
    headers = strong_tag_headers(_tag(body))
    held = if_none_match_tags(request)
    if _tag(body) in held or "*" in held:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type="application/json", headers=headers)


async def edit_beats(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Save or remove an override; the tag of the response is the one for the next edit."""
    response = await relay(context, request, endpoint)
    assert isinstance(response.body, bytes)
    response.headers["ETag"] = strong_tag_headers(_tag(response.body))["ETag"]
    return response


def _tag(body: bytes) -> str:
    return json.loads(body)["etag"]
