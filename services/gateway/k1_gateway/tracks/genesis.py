"""`GET .../genesis`: the Genesis map of a version, compressed where the client accepts gzip."""

from aiohttp import web

from k1_contracts.messages.catalogue.tracks import GENESIS_GET, GetGenesis
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.entity_tags import if_none_match_tags, not_modified_response, weak_tag_headers
from k1_gateway.http.request_parsing import build_query
from k1_platform.nats.queries.rpc_documents import request_document
from k1_platform.processes.threads import in_thread


async def get_genesis(context: GatewayContext, request: web.Request, endpoint: Endpoint) -> web.Response:
    """Return the map. The catalogue stores it compressed; a client that accepts gzip gets these bytes unchanged."""
    held = if_none_match_tags(request)
    extra = {"etag": held[0] if held else None}
    query = build_query(request, GetGenesis, params=endpoint.query_params, extra=extra)
    found = await request_document(context.bus.broker, GENESIS_GET, query)
    if found.body is None:
        return not_modified_response(found.etag)
    headers = {**weak_tag_headers(found.etag), "Vary": "Accept-Encoding"}
    if _accepts_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=found.body, content_type="application/json", headers=headers)
    plain = await in_thread(found.json)
    return web.Response(body=plain, content_type="application/json", headers=headers)


def _accepts_gzip(request: web.Request) -> bool:
    for item in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, parameters = item.partition(";")
        if name.strip() in {"gzip", "*"}:
            quality = parameters.replace(" ", "").removeprefix("q=")
            return not quality or quality.strip("0.") != ""
    return False
