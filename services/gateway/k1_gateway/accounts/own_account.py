"""Relays requests about accounts, with what accounts cannot know: where they come from, and their session."""

from typing import Any

from aiohttp import web

from k1_gateway.access.gate import client_of
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.relay import relay_with
from k1_gateway.http.routing import IDENTITY


async def relay_with_client(
    context: GatewayContext, request: web.Request, endpoint: Endpoint
) -> web.Response:
    """Relay the request with its client and its session, where the query has fields for them."""
    assert endpoint.query is not None
    fields = endpoint.query.model.model_fields
    extra: dict[str, Any] = {}
    if "client" in fields:
        extra["client"] = client_of(request)
    if "session_id" in fields and IDENTITY in request:
        extra["session_id"] = request[IDENTITY].session_id
    return await relay_with(context, request, endpoint, extra)
