"""Reads the body of a request within the time limits of the server, for the handlers of every service."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from k1_platform.http.server import LIMITS, abandon_body

_ENCODINGS: Final = frozenset({"identity", "gzip", "deflate"})
"""The encodings that the server decodes. It would pass on a body in any other encoding undecoded."""
_MAX_TIMEOUTS: Final = 2
"""The number of timeouts in a row that end a request. After the first one, data may be waiting to be read, because
this process itself was delayed."""


async def read_body(request: web.Request) -> bytes:
    """Return the whole of a small body.

    Raises:
        web.HTTPRequestTimeout: the body did not arrive within `receive_s`.
        web.HTTPRequestEntityTooLarge: the body is larger than the `client_max_size` of the application.
        web.HTTPBadRequest: the body does not follow its encoding.
        web.HTTPUnsupportedMediaType: the server does not decode this encoding.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + request.app[LIMITS].receive_s
    max_size, body = request.client_max_size, bytearray()
    async for chunk in iter_body(request):
        body += chunk
        if len(body) > max_size:
            raise web.HTTPRequestEntityTooLarge(max_size=max_size, actual_size=len(body))
        if loop.time() > deadline and not request.content.is_eof():
            raise _timeout()
    return bytes(body)


async def iter_body(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the body as it arrives. Only its pauses are limited, to `receive_s`. Raises as `read_body` does."""
    _check_encoding(request)
    pause_s, timeouts = request.app[LIMITS].receive_s / _MAX_TIMEOUTS, 0
    while True:
        try:
            async with asyncio.timeout(pause_s):
                chunk = await request.content.readany()
        except TimeoutError:
            timeouts += 1
            if timeouts == _MAX_TIMEOUTS:
                raise _timeout() from None
            continue
        except (HttpProcessingError, web.RequestPayloadError) as error:
            abandon_body(request)
            raise web.HTTPBadRequest(reason="The body cannot be read to its end") from error
        if not chunk:
            return
        timeouts = 0
        yield chunk


def _check_encoding(request: web.Request) -> None:
    encoding = ", ".join(request.headers.getall("Content-Encoding", ["identity"])).strip().lower()
    if encoding not in _ENCODINGS:
        known = ", ".join(sorted(_ENCODINGS - {"identity"}))
        raise web.HTTPUnsupportedMediaType(
            reason=f"The body's Content-Encoding must be one of {known}, or left out",
            headers={"Accept-Encoding": known},
        )


def _timeout() -> web.HTTPRequestTimeout:
    return web.HTTPRequestTimeout(reason="The body did not arrive in time")
