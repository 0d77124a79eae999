"""`GET`, `PUT` and `POST .../graph`: the body is the document itself, its revision the entity tag."""

import json

from aiohttp import web

from k1_contracts.messages.catalogue.graph_edits import (
    GRAPH_SAVE_VERSION,
    GraphVersionSaved,
    SaveGraphVersion,
)
from k1_contracts.messages.catalogue.graphs import (
    GRAPH_GET,
    GRAPH_PUT,
    GetGraph,
    GraphSaved,
    GraphView,
    PutGraph,
)
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.entity_tags import if_match_tags, if_none_match_tags, strong_tag_headers
from k1_gateway.http.relay import uncached_response
from k1_gateway.http.request_parsing import build_query, idempotency_key, read_json


async def get_graph(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Return the graph document in the form in which `put_graph` accepts it."""
    query = build_query(request, GetGraph, params=endpoint.query_params)
    view = GraphView.model_validate_json(await context.send_query(GRAPH_GET, query))
    headers = strong_tag_headers(view.etag)
    if view.etag in (held := if_none_match_tags(request)) or "*" in held:
        return web.Response(status=304, headers=headers)
    body = json.dumps(view.graph, ensure_ascii=False).encode()
    return web.Response(body=body, content_type="application/json", headers=headers)


async def put_graph(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Send the body to the catalogue, whatever JSON it is: the catalogue's validator names every fault."""
    extra = {"graph": await read_json(request), "if_match": if_match_tags(request)}
    query = build_query(request, PutGraph, extra=extra)
    saved = GraphSaved.model_validate_json(await context.send_query(GRAPH_PUT, query, endpoint.timeout_s))
    headers = {**strong_tag_headers(saved.etag), "Cache-Control": "no-store"}
    return web.Response(body=saved.to_json(), content_type="application/json", headers=headers)


async def save_graph_version(
    context: GatewayContext, request: web.Request, endpoint: Endpoint
) -> web.Response:
    """Send the body to the catalogue, which makes a new version with it."""
    extra = {
        "graph": await read_json(request),
        "if_match": if_match_tags(request),
        "idempotency_key": idempotency_key(request),
    }
    query = build_query(request, SaveGraphVersion, extra=extra)
    body = await context.send_query(GRAPH_SAVE_VERSION, query, endpoint.timeout_s)
    response = uncached_response(body, endpoint.status)
    response.headers["ETag"] = strong_tag_headers(GraphVersionSaved.model_validate_json(body).etag)["ETag"]
    return response
