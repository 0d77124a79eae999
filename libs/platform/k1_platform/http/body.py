"""Reading the body of a request from a client that may be slow, gone, or not speak HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from k1_platform.http.server import LIMITS, abandon_body

_ENCODINGS: Final = frozenset({"identity", "gzip", "deflate"})
"""Which the server decodes; any other would reach the reader as it is, to be taken for the content."""
_STRIKES: Final = 2
"""The time of a pause is waited for in parts: when this process itself was held up, data may wait to be read."""


async def read_body(request: web.Request) -> bytes:
    """Return the whole of a small body; it has `receive_s` to arrive.

    Raises:
        web.HTTPRequestTimeout: it did not.
        web.HTTPRequestEntityTooLarge: it is larger than the application's `client_max_size`.
        web.HTTPBadRequest: it breaks the rules of its encoding.
        web.HTTPUnsupportedMediaType: its encoding is none of those that are decoded here.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + request.app[LIMITS].receive_s
    most, body = request.client_max_size, bytearray()
    async for chunk in iter_body(request):
        body += chunk
        if len(body) > most:
            raise web.HTTPRequestEntityTooLarge(max_size=most, actual_size=len(body))
        if loop.time() > deadline and not request.content.is_eof():
            raise _late()
    return bytes(body)


async def iter_body(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the body as it arrives; only its pauses are limited. Raises as `read_body` does."""
    _check_encoding(request)
    pause_s, strikes = request.app[LIMITS].receive_s / _STRIKES, 0
    while True:
        try:
            async with asyncio.timeout(pause_s):
                chunk = await request.content.readany()
        except TimeoutError:
            strikes += 1
            if strikes == _STRIKES:
                raise _late() from None
            continue
        except (HttpProcessingError, web.RequestPayloadError) as error:
            abandon_body(request)
            raise web.HTTPBadRequest(reason="The body cannot be read to its end") from error
        if not chunk:
            return
        strikes = 0
        yield chunk


def _check_encoding(request: web.Request) -> None:
    given = ", ".join(request.headers.getall("Content-Encoding", ["identity"])).strip().lower()
    if given not in _ENCODINGS:
        known = ", ".join(sorted(_ENCODINGS - {"identity"}))
        raise web.HTTPUnsupportedMediaType(
            reason=f"The body's Content-Encoding must be one of {known}, or left out",
            headers={"Accept-Encoding": known},
        )


def _late() -> web.HTTPRequestTimeout:
    return web.HTTPRequestTimeout(reason="The body did not arrive in time")
