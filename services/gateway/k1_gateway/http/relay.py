"""The handler of endpoints that only send a query to its owner and return the result."""

from typing import Any

from aiohttp import web

from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.entity_tags import cacheable_response, if_match_tags
from k1_gateway.http.request_parsing import build_query, idempotency_key, read_body_fields


async def relay(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Build the query from the request, send it, return the result."""
    return await relay_with(context, request, endpoint, {})


async def relay_with(
    context: GatewayContext, request: web.Request, endpoint: Endpoint, own: dict[str, Any]
) -> web.Response:
    """Do as `relay`, with these further fields of the query, whatever the client sends."""
    assert endpoint.query is not None
    takes_body = endpoint.method in {"POST", "PUT", "PATCH"} or endpoint.body_fields
    extra = await read_body_fields(request, endpoint.body_fields) if takes_body else {}
    if "idempotency_key" in endpoint.query.model.model_fields:
        extra["idempotency_key"] = idempotency_key(request)
    if endpoint.takes_if_match:
        extra["if_match"] = if_match_tags(request)
    query = build_query(
        request, endpoint.query.model, params=endpoint.query_params, extra=extra | endpoint.fixed_fields | own
    )
    body = await context.send_query(endpoint.query, query, endpoint.timeout_s)
    if endpoint.cacheable:
        return cacheable_response(request, body)
    return uncached_response(body, endpoint.status)


def uncached_response(body: bytes, status: int) -> web.Response:
    """Return a JSON response that no cache stores, because it may be outdated at any moment."""
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)
