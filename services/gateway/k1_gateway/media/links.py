"""`GET /links/{token}`: the artefact behind a link, for anyone who has the link."""

from aiohttp import web

from k1_contracts.messages.catalogue.media import StoredObject
from k1_contracts.messages.catalogue.storage import LINK_OPEN, OpenLink
from k1_gateway.http.content_disposition import content_disposition
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.request_parsing import build_query
from k1_gateway.media.object_stream import stream_object


async def open_link(context: GatewayContext, request: web.Request, _: Endpoint) -> web.StreamResponse:
    """Stream the artefact. No cache keeps it, because a cache would go on serving a link that was revoked."""
    first_part = request.headers.get("Range", "bytes=0-").strip().lower().startswith("bytes=0-")
    query = build_query(request, OpenLink, extra={"count": request.method == "GET" and first_part})
    source = StoredObject.model_validate_json(await context.send_query(LINK_OPEN, query))
    headers = {
        "Content-Disposition": content_disposition(source.filename),
        "Cache-Control": "private, no-store",
        "X-Robots-Tag": "noindex",
    }
    return await stream_object(context, request, source, headers)
