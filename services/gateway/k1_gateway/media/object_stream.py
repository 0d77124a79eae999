"""Streams objects of the store to clients, whole or in parts, a few blocks at a time.

The gateway has no credentials of the store: the catalogue signs a URL for each request.
"""

import logging
from collections.abc import Mapping
from typing import Final

import aiohttp
from aiohttp import web
from yarl import URL

from k1_contracts.messages.catalogue.media import StoredObject
from k1_gateway.errors import ProblemError
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.entity_tags import if_none_match_tags
from k1_gateway.media.ranges import ByteRange, UnsatisfiableRangeError, requested_range

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=60)
_BLOCK: Final = 64 * 1024
_log = logging.getLogger(__name__)


async def stream_object(
    context: GatewayContext, request: web.Request, source: StoredObject, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Send an object, or the part of it that the client wants, or 304 if the client holds it.

    Raises:
        ProblemError: `range_not_satisfiable` (416), `object_missing` (404) or `service_unavailable` (503).
    """
    tag = f'"{source.sha256}"'
    own = {**headers, "ETag": tag, "Accept-Ranges": "bytes"}
    held = if_none_match_tags(request)
    if source.sha256 in held or "*" in held:
        return web.Response(status=304, headers=own)
    part = _wanted_part(request, tag, source.size_bytes)
    response = web.StreamResponse(
        status=206 if part else 200, headers={**context.headers.for_request(request), **own}
    )
    response.content_type = source.content_type
    response.content_length = part.length if part else source.size_bytes
    if part:
        response.headers["Content-Range"] = part.content_range
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    await _send(context, request, response, source, part)
    return response


async def fetch_object(context: GatewayContext, source: StoredObject) -> bytes:
    """Return a small object; raises as `stream_object` does."""
    try:
        async with _open(context, source, None) as upstream:
            _check(upstream, None)
            return await upstream.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise _unavailable() from error


def _wanted_part(request: web.Request, tag: str, size: int) -> ByteRange | None:
    if request.method != "GET":  # the standard defines ranges for GET only
        return None
    try:
        return requested_range(request.headers.get("Range"), request.headers.get("If-Range"), tag, size)
    except UnsatisfiableRangeError as error:
        detail = f"The range begins behind the end: the file has {size} bytes."
        headers = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
        raise ProblemError("range_not_satisfiable", 416, detail, headers=headers) from error


async def _send(
    context: GatewayContext,
    request: web.Request,
    response: web.StreamResponse,
    source: StoredObject,
    part: ByteRange | None,
) -> None:
    left = response.content_length or 0
    try:
        async with _open(context, source, part) as upstream:
            _check(upstream, part)
            await response.prepare(request)
            async for block in upstream.content.iter_chunked(_BLOCK):
                left -= len(block)
                await response.write(block)
    except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
        if not response.prepared:
            raise _unavailable() from error
        if request.transport is not None and not request.transport.is_closing():
            _log.warning("the store ended a download early", extra={"reason": repr(error)})
    if left and request.transport is not None:
        request.transport.abort()  # a clean end would make the client believe that it has everything


def _open(
    context: GatewayContext, source: StoredObject, part: ByteRange | None
) -> "aiohttp.client._RequestContextManager":  # pyright: ignore[reportPrivateUsage]
    headers = {"Range": f"bytes={part.first}-{part.last}"} if part else {}
    url = URL(source.url, encoded=True)  # another quoting would break the signature
    return context.http.get(url, headers=headers, timeout=_TIMEOUT, ssl=context.store_tls)


def _check(upstream: aiohttp.ClientResponse, part: ByteRange | None) -> None:
    """Raise unless the store sends this part. Some stores send parts with the status 200."""
    if upstream.status == web.HTTPNotFound.status_code:
        detail = "The file is no longer in the store; analyse the song again, or upload it again."
        raise ProblemError("object_missing", 404, detail)
    sent = upstream.headers.get("Content-Range")
    if upstream.status not in {200, 206} or sent != (part.content_range if part else None):
        _log.error("the store did not serve an object", extra={"status": upstream.status, "part": sent})
        raise _unavailable()


def _unavailable() -> ProblemError:
    return ProblemError("service_unavailable", 503, "The object store does not answer; try again.")
